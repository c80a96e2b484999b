"""Numbers as a comparison shows them: curves that were read, of many points some, and times."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.reports.curves import read_curves
from pipelines.reports.page_curves import MOST_POINTS, thinned
from pipelines.reports.page_grids import MOST, some
from pipelines.reports.page_table import duration


def test_of_many_points_and_pictures_some_are_shown() -> None:
    long = pd.DataFrame({"step": range(1, 5002), "value": [1 / 3] * 5001})
    kept = thinned(long)
    assert len(kept) <= MOST_POINTS + 1
    assert (kept[0], kept[-1]) == ([1, 0.3333], [5001, 0.3333])
    assert thinned(long[:0]) == []
    steps = some(range(0, 1000, 10))
    assert (len(steps), steps[0], steps[-1]) == (MOST, 0, 990)
    assert some([0, 5]) == [0, 5]


def test_a_curve_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "curves").mkdir()
    path = tmp_path / "curves" / "generator.csv"
    path.write_text("step,generator\n1,2.5\n")
    assert read_curves(tmp_path, "gan")["generator"].to_numpy().tolist() == [[1.0, 2.5]]
    for text in ("", "step,other\n1,2\n", "step,generator\n1,inf\n", "step,generator\nx,1\n"):
        path.write_text(text)
        with pytest.raises(Exception, match=r"generator.csv: damaged; run dvc repro -s -f train@gan"):
            read_curves(tmp_path, "gan")


@pytest.mark.parametrize(
    ("seconds", "message"), [(None, ""), (0.4, "0 s"), (119.0, "119 s"), (330.0, "5.5 min"), (9000.0, "2.5 h")]
)
def test_times_are_said_as_people_say_them(seconds: float | None, message: str) -> None:
    assert duration(seconds) == message
