"""When a run may be said to lead: by more than chance alone moves its number."""

import math

import pandas as pd
import pytest

from pipelines.reports.lead import Verdict, verdict
from pipelines.reports.results import Floor
from pipelines.reports.tables import with_spreads

FLOOR = Floor(mean=2.0, sd_draws=0.5, images=100)


def table(*rows: tuple[str, float, float]) -> pd.DataFrame:
    columns = {name: {"fid": mean, "fid_sd_draws": 0.1, "fid_sd_trainings": sd} for name, mean, sd in rows}
    return pd.DataFrame.from_dict(columns, orient="index")


@pytest.mark.parametrize(
    ("second", "floor", "leads"),
    [
        (14.9, None, False),  # spreads of 1.5 and 2: twice their root of squares is 5
        (15.05, None, True),
        (15.05, FLOOR, False),  # the floor's 0.5 makes it 5.099
        (15.2, FLOOR, True),
    ],
)
def test_a_lead_exceeds_the_spreads(second: float, floor: Floor | None, leads: bool) -> None:
    message = verdict(table(("a", 10.0, 1.5), ("b", second, 2.0)), "fid", floor)
    assert message.leader == ("a" if leads else None)
    assert message.message.startswith("a leads" if leads else "No run leads")


def test_runs_at_the_floor_are_not_told_apart() -> None:
    close = table(("a", 1.0, 0.01), ("b", 2.9, 0.01), ("c", 9.0, 0.01))
    assert verdict(close, "fid", FLOOR) == Verdict("a", ["b"], "a leads c; it is not told apart from b.")
    assert verdict(close, "fid", None).leader == "a"


def test_one_training_leads_nothing() -> None:
    message = verdict(table(("a", 1.0, math.nan), ("b", 100.0, math.nan)), "fid", FLOOR)
    assert message.leader is None
    assert "each run was trained with one seed" in message.message
    mixed = verdict(table(("a", 1.0, 0.1), ("b", 100.0, math.nan)), "fid", FLOOR)
    assert mixed.leader is None
    assert "b was trained with one seed" in mixed.message
    two = verdict(table(("a", 1.0, 0.1), ("b", 100.0, math.nan), ("c", 101.0, math.nan)), "fid", FLOOR)
    assert "b, c were trained with one seed" in two.message
    assert verdict(table(("a", 1.0, 0.1)), "fid", FLOOR).leader is None


def test_plus_minus_is_kept_for_trainings() -> None:
    assert with_spreads(12.34, 0.31, 1.16) == "12.3 ± 1.2 (0.3)"
    assert with_spreads(12.34, 0.31, None) == "12.3 (0.3)"
    assert with_spreads(12.34, 0.0, None) == "12.3"
    assert with_spreads(12.34, 0.0, math.nan) == "12.3"
