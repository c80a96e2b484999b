"""Commands as forks of a server, and workers that train one run after the other, as `gen all` has them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.commands.all import modules
from pipelines.runtime import forkserver, warm
from tests.pipelines.conftest import ROOT, Workplace, ring_run, training_workers
from tests.pipelines.test_train import wait_for_checkpoint, weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")
SERVER = """
import json, os, signal, sys, time
from pipelines.runtime import command, forkserver

def told():
    try:
        print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("TOLD"), os.getppid(), os.getpid()]), flush=True)
        time.sleep(100 if sys.argv[1:] == ["wait"] else 0)
    finally:
        print("in order", flush=True)
    if sys.argv[1:] == ["crash"]:
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(7)

forkserver.serve(sys.argv[1], ["json"], lambda: command.run(told))
"""
COMMAND = "import sys; from pipelines.runtime import forkserver; print('own', forkserver.continued())"
STAND_IN = "import sys; from pipelines.runtime import forkserver; sys.exit(forkserver.continued())"


class Server:
    """One of a copy of the code, which can be edited."""

    def __init__(self, folder: Path) -> None:
        self.code = folder / "code"
        for package in ("gen", "pipelines"):
            shutil.copytree(ROOT / package, self.code / package, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = os.environ | {"PYTHONPATH": str(self.code), forkserver.ADDRESS: str(folder / "address")}
        command = [sys.executable, "-P", "-c", SERVER, folder / "address"]
        self.process = subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE)
        while not (folder / "address").exists():
            assert self.process.poll() is None
            time.sleep(0.05)

    def start(self, *words: str, code: str = STAND_IN, folder: Path | None = None) -> "subprocess.Popen[str]":
        command = [sys.executable, "-P", "-c", code, *words]
        return subprocess.Popen(
            command, env=self.environment | {"TOLD": "here"}, cwd=folder, stdout=subprocess.PIPE, text=True
        )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("s"))
    yield made
    made.process.kill()
    made.process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_fork_is_the_command(server: Server, tmp_path: Path) -> None:
    with server.start("a", "b c", folder=tmp_path) as command:
        words, folder, told, parent, _ = json.loads(line(command))
        assert (words, folder, told, parent) == (["a", "b c"], str(tmp_path), "here", server.process.pid)
        assert command.wait() == 7
    with server.start("crash") as crashed:
        assert crashed.wait() == 137
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with server.start("wait") as waiting:
            line(waiting)
            waiting.send_signal(number)
            assert (line(waiting), waiting.wait(timeout=60)) == ("in order\n", status)
    with server.start("wait") as killed:
        *_, fork = json.loads(line(killed))
        killed.kill()
        assert line(killed) == "in order\n", "a fork ends with the command that it is"
    while psutil.pid_exists(fork):
        time.sleep(0.05)


def test_edited_code_is_run_by_a_process_of_its_own(server: Server) -> None:
    with server.start(code=COMMAND) as command:
        assert command.communicate()[0].endswith("own 7\n")
    with (server.code / "gen" / "optimizers.py").open("a") as file:
        file.write("# edited\n")
    with server.start(code=COMMAND) as command:
        assert command.communicate()[0] == "own None\n"


def test_a_warm_worker_trains_to_the_same_bits_and_may_be_lost(workplace: Workplace) -> None:
    """After another run, and killed in the middle of its own, as a new process does it."""
    workplace.write(ring=ring_run(steps=1000), other=ring_run("wgan", steps=50))
    cold = workplace.run("train", "ring")
    assert cold.returncode == 0, cold.stderr
    expected = weights(workplace.folder)
    with (
        forkserver.forkserver(modules(["train@ring"]), workplace.environment) as environment,
        warm.warm_workers(1) as workers,
    ):
        while not Path(environment[forkserver.ADDRESS]).exists():
            time.sleep(0.1)
        workplace.environment = environment | {warm.NAME: workers[0]}
        other = workplace.run("train", "other")
        assert other.returncode == 0, other.stderr
        process = workplace.start("train", "ring", "--fresh")
        assert len(psutil.Process(process.pid).children()) == 0
        wait_for_checkpoint(workplace.folder, process)
        (worker,) = training_workers()
        worker.kill()
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "ring: its process was killed; it goes on from the newest checkpoint" in out
    assert weights(workplace.folder) == expected
