"""What the demo passes on of DVC."""

from pathlib import Path

import pytest
import yaml

from gen.config.load import load_params
from pipelines.commands.demo import counted, stages

ROOT = Path(__file__).parents[2]


def test_stages_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    message = [
        "Stage 'fetch@digits' didn't change, skipping\n",
        "Running stage 'train@digits_gan':\n",
        "> python -m x\n",
    ]
    assert counted(message, 9) == {"train@digits_gan"}
    assert capsys.readouterr().out.splitlines() == [
        "stage 1 of 9: fetch@digits is up to date",
        "stage 2 of 9: train@digits_gan",
        "> python -m x",
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC's own
def test_as_many_as_dvc_would_run() -> None:
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        (last,) = [stage for stage in graph if stage.addressing == "compare@digits"]
        needed, waiting = set(), [last]
        while waiting:
            stage = waiting.pop()
            needed.add(stage.addressing)
            waiting += [one for one in graph.successors(stage) if one.addressing not in needed]
    assert yaml.safe_load((ROOT / "params.yaml").read_text())["compare"][0] == "digits"
    assert stages(load_params(ROOT / "params.yaml")) == len(needed)
