"""Numbers in tables for people."""

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.reports.tables import number


@pytest.mark.parametrize(
    ("mean", "sd", "said"),
    [
        (6.734, 0.481, "6.73 ± 0.48"),
        (1234.5, 21.0, "1,234 ± 21"),
        (0.0, 0.0, "0.00"),
        (0.0123, math.nan, "0.0123"),
        (1.5e-7, 2e-8, "1.50e-07 ± 2e-08"),
        (3.4e38, math.nan, "3.40e+38"),
        (12.0, 1e30, "12.0 ± 1e+30"),
        (math.inf, 1.0, "inf ± 1e+00"),
        (-math.inf, math.nan, "-inf"),
        (math.nan, 1.0, ""),
    ],
)
def test_three_digits_and_the_spread(mean: float, sd: float, message: str) -> None:
    assert number(mean, sd) == message


@given(st.floats(allow_nan=False), st.floats())
@example(1.7976931348623157e308, math.inf)
@example(5e-324, 5e-324)
@example(999_999_999.9, 0.0)
def test_any_number_is_shown_as_what_it_is(mean: float, sd: float) -> None:
    message = number(mean, sd)
    assert len(message) < 40
    shown = Decimal(message.partition(" ")[0].replace(",", ""))  # 1.80e+308 is more than any float
    assert shown == Decimal(mean) or abs(shown - Decimal(mean)) <= abs(Decimal(mean)) * Decimal("0.006")
    assert (" ± " in message) == (sd > 0)
