"""What the progress lines say."""

import time
from pathlib import Path

import pytest

from gen import config
from pipelines.progress import SweepProgress
from pipelines.search import Trial
from pipelines.sweep_table import Table


def test_what_was_on_record_took_none_of_the_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    table = Table(config.load(Path("params.yaml")).sweeps["ring8_k"])
    progress = SweepProgress("ring8_k", table)
    for name in ("old", "new"):
        table.begin(name, Trial(0, {"model.k": 1}, 0))
    table.add("old", 2000, {table.sweep.metric: 0.5})
    assert (table.sweep.trials(), table.sweep.steps) == (12, 2000)
    table.records["old"].outcome = "finished"
    progress.recalled = 2000
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    table.add("new", 500, {table.sweep.metric: 0.25})
    progress.show()
    assert capsys.readouterr().out == "ring8_k: 1/12 trials, 1 running, best 0.25 (k=1), 860 s left\n"
