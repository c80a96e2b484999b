"""Several stages of DVC at a time, with a real DVC."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import zc.lockfile

from gen.errors import InputError
from pipelines.commands.all import Build, stages
from tests.pipelines.conftest import ROOT

DVC = str(Path(sys.executable).with_name("dvc"))
STAGES = """
stages:
  base: {cmd: echo base > base.txt, deps: [first.txt], outs: [base.txt]}
  train:
    foreach: [a, b]
    do:
      cmd: touch at-${item}; while [ ! -f at-a ] || [ ! -f at-b ]; do sleep 0.1; done; echo trained > m_${item}
      deps: [base.txt]
      outs: ["m_${item}"]
  evaluate:
    foreach: [a, b]
    do:
      cmd: cat m_${item} > e_${item} && test ! -f broken-${item}
      deps: ["m_${item}"]
      outs: ["e_${item}"]
  compare: {cmd: cat e_a e_b > all.txt, deps: [e_a, e_b], outs: [all.txt]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two chains of stages, whose trainings wait for each other: they end only if they run at the same time."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(STAGES)
    Path("first.txt").write_text("1")
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run([DVC, "init", "-q"], check=True)
    return tmp_path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC's own
def test_stages_that_do_not_need_one_another_are_built_at_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = stages(["compare"], "dvc.yaml")
    assert needs == stages([], "dvc.yaml")
    assert needs["compare"] == {"evaluate@a", "evaluate@b"}
    Path("broken-b").touch()
    with pytest.raises(InputError, match=r"^evaluate@b failed, as said above; the same command goes on from there$"):
        Build(needs, os.environ).run(2)
    assert not Path("all.txt").exists()
    assert Path("e_a").exists(), "what was running is finished"
    Path("broken-b").unlink()
    capsys.readouterr()
    assert Build(needs, os.environ).run(2) == {"evaluate@b", "compare"}
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"stage {number} of 6" for number in range(1, 7)]
    assert "stage 1 of 6: base is up to date" in lines
    assert lines[-1] == "stage 6 of 6: compare"
    assert Path("all.txt").read_text() == "trained\ntrained\n"
    status = subprocess.run([DVC, "status"], capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    with pytest.raises(InputError, match=r"train@c: .*`dvc stage list` names those there are"):
        stages(["train@c"], "dvc.yaml")


@pytest.mark.slow
def test_the_demo_shows_its_table_once_and_ends_with_the_page(project: Path, cluster: str) -> None:
    made = "mkdir -p comparisons/digits && echo '| run | fid |' | tee comparisons/digits/table.md"
    Path("dvc.yaml").write_text(
        f'stages:\n  compare:\n    foreach: [digits]\n    do: {{cmd: "{made}", outs: [comparisons/digits/table.md]}}\n'
    )
    shutil.copy(ROOT / "params.yaml", project)
    gen = Path(sys.executable).with_name("gen")
    for state in ("", " is up to date"):
        environment = os.environ | {"RAY_ADDRESS": cluster, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([gen, "demo"], env=environment, capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        assert lines[0] == f"stage 1 of 1: compare@digits{state}"
        assert done.stdout.count("| run | fid |") == 1
        assert lines[-1] == f"The page: {(project / 'comparisons' / 'digits' / 'index.html').as_uri()}"


def test_a_dvc_lock_in_a_merge_is_one_line(project: Path) -> None:
    (project / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\nstages: 3\n>>>>>>> other\n")
    with pytest.raises(InputError, match=r"^DVC cannot read the stages: .*dvc\.lock.*; `dvc status` says where$"):
        stages(["compare"], "dvc.yaml")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC's own
def test_it_waits_for_a_dvc_that_looks_at_its_stages_for_long(project: Path) -> None:
    held = zc.lockfile.LockFile(".dvc/tmp/lock")
    free = threading.Timer(5, held.close)  # DVC by itself gives up after three seconds
    free.start()
    assert Build({"base": set()}, os.environ).run(1) == {"base"}
    free.join()


def test_its_processes_end_with_it(project: Path) -> None:
    code = (
        "import os, sys; from pipelines.commands.all import Build; from pipelines.runtime import command\n"
        "sys.exit(command.run(lambda: print(Build({'base': set(), 'train@a': {'base'}}, os.environ).run(2))))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not Path("at-a").exists():  # its training waits for the other one, for ever
        assert process.poll() is None
        time.sleep(0.1)
    (dvc,) = psutil.Process(process.pid).children()
    process.terminate()
    while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)
    Path("at-b").touch()  # what DVC leaves alive ends; a stage of ours would by itself, once it has saved
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 143
