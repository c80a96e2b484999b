"""A Ray of our own, in a home of its own: who may read its token, and how a stop while it starts ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.pipelines.conftest import ROOT, cmdline

START = """
import signal, sys
from gen.config.params import Cluster
from pipelines.runtime import cluster, command

def main():
    print("starts", flush=True)
    with cluster.joined(Cluster(address=None, storage="storage", max_failures=0)):
        import ray
        print(ray.get(ray.remote(lambda: "computed").remote()), flush=True)

sys.exit(command.run(main))
"""


def start(home: Path) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", START]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home
    )


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, 0o644])
def test_only_its_owner_reads_its_token(tmp_path: Path, before: int | None) -> None:
    token = tmp_path / ".ray" / "auth_token"
    if before:
        token.parent.mkdir()
        token.write_text("0" * 64)
        token.chmod(before)
    process = start(tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "computed" in out, "Ray takes the token"
    assert token.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 2.5])
def test_a_stop_while_it_starts(tmp_path: Path, seconds: float) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "starts\n"
    time.sleep(seconds)
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert [cmdline(one) for one in below if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
