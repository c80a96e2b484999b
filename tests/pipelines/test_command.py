"""What all commands have in common."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


@pytest.mark.parametrize("library", ["libtorch_cpu", "_raylet"])
def test_ctrl_c_while_it_imports_leaves_no_traceback(library: str, tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "pipelines.train", "digits_gan", "--params", tmp_path / "missing.yaml"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  else ignored under nohup
    )
    process = psutil.Process(command.pid)
    while not any(library in part.path for part in process.memory_maps()):
        assert command.poll() is None
    command.send_signal(signal.SIGINT)
    assert command.communicate()[1] == ""
    assert command.returncode == -signal.SIGINT
