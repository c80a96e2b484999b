"""What all commands have in common."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from gen.config.params import Cluster
from gen.errors import InputError
from pipelines.runtime import above, cluster, command
from pipelines.runtime.jobs import storage_of
from pipelines.tracking.store import tracking_uri


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_a_command_is_done_leaves_no_traceback(number: signal.Signals) -> None:
    code = (
        "import atexit, sys, time\n"
        "from pipelines.cli import run\n"
        "def end():\n"
        "    print('ending', flush=True)\n"
        "    time.sleep(60)\n"
        "atexit.register(end)\n"  # as torch's compiler has one, which imports modules then
        "sys.argv = ['gen', '--help']\n"
        "sys.exit(run())"
    )
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.stdout is not None
    before = ""
    while not before.endswith("ending\n"):
        assert done.poll() is None
        before += done.stdout.readline()
    assert "Train, sweep and compare" in before
    done.send_signal(number)
    assert done.communicate(timeout=30)[1] == ""
    assert done.returncode == -number


@pytest.mark.parametrize("library", ["libtorch_cpu", "_raylet"])
def test_ctrl_c_while_it_imports_leaves_no_traceback(library: str, tmp_path: Path) -> None:
    stage = subprocess.Popen(
        [Path(sys.executable).with_name("gen"), "train", "digits_gan", "--params", tmp_path / "missing.yaml"],
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
        assert command.run(partial(command.aimed, Path(params), main)) == 1
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


@pytest.mark.parametrize("source", ["RAY_ADDRESS", "cluster.address"])
@pytest.mark.parametrize("kind", ["nobody", "mute"])
def test_an_address_where_no_ray_answers_is_refused_within_seconds(
    source: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "mute":  # takes connections and never says a word
            listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        settings = Cluster(address=address if source == "cluster.address" else None, storage="s", max_failures=0)
        start = time.monotonic()
        refused = pytest.raises(InputError, match=f"^{source}: no Ray at {address}: nothing answered")
        with refused as message, cluster.joined(settings):
            pass
    assert time.monotonic() - start < 10
    assert "\n" not in str(message.value)


def test_an_experiment_in_a_temporary_folder_keeps_its_run_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = Cluster(address=None, storage="storage", max_failures=0)
    monkeypatch.setenv("DVC_ROOT", "/checkout")
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert (storage_of(settings), tracking_uri()) == (f"{tmp_path}/storage", f"sqlite:///{tmp_path}/tracking/mlflow.db")
    monkeypatch.setenv("DVC_STAGE", "train@ring")  # as DVC does, whose DVC_ROOT is the checkout then
    assert (storage_of(settings), tracking_uri()) == ("/checkout/storage", "sqlite:////checkout/tracking/mlflow.db")


def test_sigterm_while_ray_starts_leaves_neither_a_traceback_nor_a_process() -> None:
    code = (
        "import sys; from gen.config.params import Cluster; from pipelines.runtime import cluster, command\n"
        "def main():\n"
        "    with cluster.joined(Cluster(address=None, storage='s', max_failures=0)): print('joined', flush=True)\n"
        "sys.exit(command.run(main))"
    )
    stage = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = psutil.Process(stage.pid)
    while not (started := process.children()):  # the first of Ray's
        assert stage.poll() is None
        time.sleep(0.02)
    stage.send_signal(signal.SIGTERM)
    out, err = stage.communicate(timeout=60)
    assert (stage.returncode, out) == (143, "")
    assert "Traceback" not in err
    assert psutil.wait_procs(started, timeout=10)[1] == []


def test_sigterm_ends_a_command_also_where_a_library_makes_an_error_of_its_own_of_it() -> None:
    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except BaseException as end:  # as Ray Tune does where it reads a trial's settings
            raise RuntimeError("cannot read them") from end

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert command.run(main) == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_sigterm_does_not_cut_short_what_the_first_has_put_in_order() -> None:
    """Of a group that is ended, the stage is sent one, and one by itself when it sees that its DVC has ended."""
    order: list[str] = []

    @contextmanager
    def ends_with_a_second_one() -> Iterator[None]:
        try:
            yield
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            order.append("inner")

    def main() -> None:
        try:
            with ends_with_a_second_one():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)
            order.append("outer")
            raise

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert command.run(main) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["inner", "outer"]


def test_after_sigterm_a_command_that_has_joined_ray_has_the_time_it_takes(cluster: str) -> None:
    code = (
        "import signal, sys, time\n"
        "from gen.config.params import Cluster\n"
        "from pipelines.runtime import cluster, command\n"
        "def main():\n"
        f"    with cluster.joined(Cluster(address='{cluster}', storage='s', max_failures=0)):\n"
        "        print('joined', flush=True)\n"
        "        try: time.sleep(60)\n"
        "        finally: print('left to it:', signal.getitimer(signal.ITIMER_REAL)[0], flush=True)\n"
        "sys.exit(command.run(main))"
    )
    stage = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert stage.stdout is not None
    assert stage.stdout.readline() == "joined\n"
    stage.send_signal(signal.SIGTERM)
    out, err = stage.communicate(timeout=60)
    assert (stage.returncode, out) == (143, "left to it: 0.0\n")
    assert "SIGTERM received" not in err
