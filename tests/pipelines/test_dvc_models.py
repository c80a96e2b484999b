"""DVC knows which models a run begins with or is made of."""

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore:_NoneStep.value")  # inside DVC
def test_runs_wait_for_the_models_they_name_and_for_no_others(tmp_path: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["runs"]["digits_lsgan"]["warm_start"] = "digits/digits_dcgan"
    params["runs"]["digits_wgan"]["part"] = "digits/digits_lsgan"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        graph = repo.index.graph
        waits = {
            stage.name: {one.name for one in graph.successors(stage) if one.name.startswith("train@")}
            for stage in repo.index.stages
            if stage.name.startswith("train@")
        }
    assert {name: others for name, others in waits.items() if others} == {
        "train@digits_lsgan": {"train@digits_dcgan"},
        "train@digits_wgan": {"train@digits_lsgan"},
    }


def test_what_runs_without_other_models_depend_on_is_in_git() -> None:
    assert "weights" in (ROOT / "models/None/weights.safetensors").read_text()
