"""Numbers in tables for people."""

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen.evaluation import sampling as evaluation
from gen.evaluation.sampling import Measured
from pipelines.reports.tables import number


@pytest.mark.parametrize(
    ("mean", "sd", "message"),
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


def test_over_seeds() -> None:
    found = evaluation.over_seeds([{"fid": 1.0}, {"fid": 2.0}, {"fid": 6.0}])
    assert found["fid"].mean == 3.0
    assert found["fid"].sd == pytest.approx(7**0.5)
    assert evaluation.over_seeds([{"fid": 1.0}])["fid"].sd == 0


def test_over_trainings_keeps_both_spreads() -> None:
    draws = [{"fid": Measured(1.0, 3.0)}, {"fid": Measured(2.0, 4.0)}, {"fid": Measured(6.0, 5.0)}]
    found = evaluation.over_trainings(draws)["fid"]
    assert found.mean == pytest.approx(3)
    assert found.sd_trainings == pytest.approx(7**0.5)
    assert found.sd_draws == pytest.approx((50 / 3) ** 0.5)
    assert evaluation.over_trainings(draws[:1])["fid"] == (1.0, 3.0, None)
