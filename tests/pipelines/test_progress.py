"""What the progress lines say."""

import sys
import time
from pathlib import Path

import pytest

from gen.config.load import load_params
from pipelines.runtime.progress import Progress
from pipelines.sweeps.progress import SweepProgress
from pipelines.sweeps.search import Trial
from pipelines.sweeps.table import Table

SAID = {"images_per_second": 640.0, "loss/generator": 0.5}


@pytest.mark.parametrize("terminal", [False, True])
def test_the_time_left_is_of_the_speed_now(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    progress = Progress("ring", 1000)
    for step in (200, 400, 600):  # of a run that goes on, at once
        progress.metrics(step, {**SAID, "steps_per_second": 40.0})
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    progress.metrics(800, {**SAID, "steps_per_second": 20.0})
    progress.close()
    told = "640 images/s, generator 0.5, 10 s left"
    out, err = capsys.readouterr()
    if terminal:
        assert not out
        assert err.endswith(f"| 800/1000 steps, {told}\n")
        assert "?" not in err
        assert "step/s" not in err
    else:
        assert (out, err) == (f"ring: step 800/1000, {told}\n", "")


def test_a_run_that_goes_on_says_from_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    progress = Progress("ring", 1000, begun=600)
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)  # Ray took its time to start
    for step in (20, 40, 600):  # told again
        progress.metrics(step, {**SAID, "steps_per_second": 40.0})
    progress.metrics(620, {**SAID, "steps_per_second": 20.0})
    told = "ring: goes on from step 600/1000\nring: step 620/1000, 640 images/s, generator 0.5, 19 s left\n"
    assert capsys.readouterr().out == told


def test_what_was_on_record_took_none_of_the_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    table = Table(load_params(Path("params.yaml")).sweeps["ring8_k"])
    progress = SweepProgress("ring8_k", table)
    for name in ("old", "new"):
        table.begin(name, Trial(0, {"model.k": 1}, 0))
    table.add("old", 1000, {table.sweep.metric: 0.5})
    assert (table.sweep.trials(), table.sweep.steps) == (12, 1000)
    table.records["old"].outcome = "finished"
    progress.recalled = 1000
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    table.add("new", 500, {table.sweep.metric: 0.25})
    progress.show()
    assert capsys.readouterr().out == "ring8_k: 1/12 trials, 1 running, best 0.25 (k=1), 420 s left\n"
