"""The pages of MLflow, served for real."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil

CHECKOUT = Path(__file__).parents[2]


def test_it_serves_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "pipelines.ui", "--port", port]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    said = tmp_path / "said"
    with said.open("w") as out:
        ui = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
    try:
        assert b"MLflow" in page(ui, f"http://127.0.0.1:{port}/", said)
        family = psutil.Process(ui.pid).children(recursive=True)
        assert len(family) > 1
        another = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (another.returncode, another.stdout) == (1, "")
        assert another.stderr.startswith(f"error: port {port}: Address already in use; choose another: ")
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(timeout=60)
    assert psutil.wait_procs(family, timeout=30)[1] == []


def page(ui: subprocess.Popen[bytes], address: str, said: Path) -> bytes:
    """What the server answers, once it does."""
    end = time.monotonic() + 120
    while True:
        assert ui.poll() is None, said.read_text()
        assert time.monotonic() < end, said.read_text()
        try:
            with urlopen(address, timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.2)
