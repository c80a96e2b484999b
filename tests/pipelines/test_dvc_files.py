"""dvc.yaml and params.yaml as DVC reads and writes them, and as git keeps them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from pipelines.stages.code import roots
from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import ROOT, ring_run


def test_the_readmes_way_back_works_before_anything_built_was_committed(tmp_path: Path, cluster: str) -> None:
    (tmp_path / "fresh").mkdir()
    fresh = Checkout(tmp_path / "fresh", cluster)
    fresh.commit()
    before = (fresh.folder / "params.yaml").read_bytes()
    fresh.write(ring_gan=ring_run("gan", steps=200))
    fresh.git("add", "params.yaml")  # as DVC leaves it when an experiment is interrupted
    (command,) = re.findall(r"`(git checkout HEAD -- [^`]+)`", (ROOT / "README.md").read_text())
    subprocess.run(shlex.split(command), cwd=fresh.folder, check=True)
    assert (fresh.folder / "params.yaml").read_bytes() == before


def test_every_stage_has_its_code_as_a_digest_and_no_list_of_files() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert stages.pop("code")["deps"] == ["gen", "pipelines"]
    assert set(stages) == {name.partition("/")[0] for name in roots()}
    for name, stage in stages.items():
        code = [dep for dep in stage["do"]["deps"] if dep.startswith(("data/code", "gen", "pipelines"))]
        own = {"fetch": "/${item.source}", "prepare": "/${item.source}"}
        own |= {"train": "/${item.family}", "sweep": "/${item.family}"}
        assert set(code) - {"pipelines/reports/published.csv"} == {f"data/code/{name}{own.get(name, '')}"}


@pytest.mark.parametrize("name", ["params.yaml", "paper/params.yaml"])
def test_dvcs_writer_leaves_the_params_files_as_they_are(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "params.yaml"
    shutil.copy(ROOT / name, copy)
    apply_overrides(copy, ["logging.metrics_every=7"])  # what `dvc exp run -S` calls
    before, after = ((ROOT / name).read_text().splitlines(), copy.read_text().splitlines())
    assert len(before) == len(after)
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert [other for _, other in changed] == ["  metrics_every: 7"]
