"""What all commands have in common."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gen.errors import InputError
from pipelines import above, command


@pytest.mark.parametrize("library", ["libtorch_cpu", "_raylet"])
def test_ctrl_c_while_it_imports_leaves_no_traceback(library: str, tmp_path: Path) -> None:
    stage = subprocess.Popen(
        [sys.executable, "-m", "pipelines.train", "digits_gan", "--params", tmp_path / "missing.yaml"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  else ignored under nohup
    )
    process = psutil.Process(stage.pid)
    while not any(library in part.path for part in process.memory_maps()):
        assert stage.poll() is None
    stage.send_signal(signal.SIGINT)
    assert stage.communicate()[1] == ""
    assert stage.returncode == -signal.SIGINT


def test_remedies_name_the_stages_of_the_params_file_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise InputError("mnist/MANIFEST.json: missing; run dvc repro -s -f prepare@mnist")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper").mkdir()
    for file in ("dvc.yaml", "paper/dvc.yaml"):
        (tmp_path / file).touch()
    for params, stage in (("params.yaml", "prepare@mnist"), ("paper/params.yaml", "paper/dvc.yaml:prepare@mnist")):
        monkeypatch.setattr(sys, "argv", ["train", "mnist_gan", "--params", params])
        assert command.run(main) == 1
        assert capsys.readouterr().err == f"error: mnist/MANIFEST.json: missing; run dvc repro -s -f {stage}\n"


@pytest.mark.parametrize(
    ("words", "forced"),
    [
        (["repro", "-f"], True),
        (["repro", "--force", "train@x"], True),
        (["repro", "-sf", "train@x"], True),
        (["exp", "run", "-fSmodel.clip=1"], True),
        (["exp", "run", "-Sruns.x.model.clip=fff"], False),
        (["exp", "run", "-nfix", "train@f"], False),
        (["repro", "--single-item"], False),
    ],
)
def test_whether_dvc_was_told_to_force(words: list[str], forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(above, "above", lambda: above.Above(psutil.Process(), words, psutil.Process()))
    assert above.forced() == forced
