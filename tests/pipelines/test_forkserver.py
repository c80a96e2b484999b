"""Commands as forks of a server, and workers that train one run after the other, as `gen all` has them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from gen.config.params import Logging, Run
from gen.data.dataset import open_dataset
from gen.evaluation.reference import open_reference
from gen.training.checkpoint import Checkpoints
from pipelines.runtime import fit, forkserver, warm
from pipelines.runtime.jobs import job_of
from pipelines.runtime.mailbox import Mailbox
from tests.pipelines.conftest import PARAMS, ROOT, Workplace, ring_run, training_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")
SERVER = """
import json, os, signal, sys, time
from pipelines.runtime import command, forkserver

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore Ctrl-C

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


def test_dvc_has_a_command_continued_which_ends_with_it(tmp_path: Path) -> None:
    """The real `gen`, by the server that `gen all` starts."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path, "DVC_NO_ANALYTICS": "1"}
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: gen check}, two: {cmd: gen check --params pipe}}")
    os.mkfifo(tmp_path / "pipe")  # nobody writes into it
    dvc = Path(sys.executable).with_name("dvc")
    subprocess.run([dvc, "init", "-q", "--no-scm"], cwd=tmp_path, env=environment, check=True)
    with forkserver.forkserver(["pipelines.commands.show"], environment) as given:
        while not Path(given[forkserver.ADDRESS]).exists():
            time.sleep(0.1)
        done = subprocess.run(
            [dvc, "repro", "one"], cwd=tmp_path, env=given, capture_output=True, text=True, check=False
        )
        assert "params.yaml: sound" in done.stdout, done.stderr
        # Tests before this one may have started a Ray, whose processes are children too.
        (server,) = [one for one in psutil.Process().children() if given[forkserver.ADDRESS] in one.cmdline()]
        with subprocess.Popen([dvc, "repro", "two"], cwd=tmp_path, env=given, stderr=subprocess.DEVNULL) as waiting:
            while not (forks := server.children()):
                time.sleep(0.05)
            waiting.kill()
        assert psutil.wait_procs(forks, timeout=30)[1] == [], "a fork ends with the DVC of its command"
    assert not Path(given[forkserver.ADDRESS]).parent.exists()


def trained(folder: Path, work: fit.Alone) -> dict[str, torch.Tensor]:
    """The weights after the job."""
    work.start()
    work.join()
    assert work.reason == ""
    state = Checkpoints(str(folder), work.job.name, work.job.identity).newest()
    assert state is not None
    assert state["steps_done"] == work.job.run.steps
    weights: dict[str, torch.Tensor] = state["family"]
    return weights


@pytest.mark.slow
def test_a_warm_worker_trains_to_the_same_bits_and_may_be_lost(
    workplace: Workplace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After another run, and killed in the middle of its own, as a new process does it."""
    inputs = open_dataset(Path("data/prepared/ring8")), open_reference(Path("data/reference/ring8/scoring"))

    def work(name: str, run: dict[str, Any], storage: str) -> fit.Alone:
        posted = job_of(
            Run.model_validate(run),
            name,
            inputs,
            device="cpu",
            score_samples=100,
            score_every=200,
            logging=Logging(**PARAMS["logging"]),
            storage=str(workplace.folder / storage),
            identity="0" * 64,
            mailbox=Mailbox().handle,
        )
        return fit.Alone(posted, 1, "cpu")

    ring, other = ring_run(steps=1000), ring_run("wgan", steps=50)
    expected = trained(workplace.folder / "cold", work("ring", ring, "cold"))
    with warm.warm_workers(2) as workers:
        monkeypatch.setenv(forkserver.ADDRESS, "a server of the same code")
        monkeypatch.setenv(warm.NAME, workers[0])
        trained(workplace.folder / "warm", work("other", other, "warm"))
        killed = work("ring", ring, "warm")
        assert killed.warm

        def saved(name: str) -> None:
            while not list(workplace.folder.glob(f"warm/{name}-*/step_*/manifest.json")):
                time.sleep(0.02)

        def kill() -> None:
            saved("ring")
            (process,) = training_workers()
            process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        found = trained(workplace.folder / "warm", killed)
        killer.join()
        monkeypatch.setenv(warm.NAME, workers[1])
        hangs = work("hangs", ring_run(steps=1_000_000), "warm")
        hangs.start()
        saved("hangs")
        hangs.abandon()
        hangs.join(30)
        assert not hangs.is_alive(), "what is given up is not tried again"
    assert "ring: its process was killed; it goes on from the newest checkpoint" in capfd.readouterr().out
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
