"""A storage or a Ray that hangs is named within seconds and given up; no error shows the secrets of an address."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from gen.errors import InputError
from gen.training.checkpoint import Checkpoints
from pipelines.runtime import command, fit, patience, waiting
from pipelines.runtime.mailbox import Mailbox
from pipelines.runtime.patience import within_a_minute
from pipelines.tracking.added import add_to_run


def test_a_disk_that_hangs_is_named_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "NOTICE_SECONDS", 0.3)
    monkeypatch.setattr(patience, "MOST_SECONDS", 1.0)
    checkpoints = Checkpoints(str(tmp_path), "run", "ab" * 32)
    Path(checkpoints.root).mkdir()
    pipe = Path(checkpoints.root, "run.json")
    os.mkfifo(pipe)  # who opens it to read waits for ever, as on a network disk whose server is gone
    peer = f"cluster.storage: {checkpoints.root}"
    started = time.monotonic()
    with pytest.raises(InputError, match=r"^cluster.storage: .*: no answer within 1 s; see whether"):
        within_a_minute(peer, lambda: checkpoints.begin(8, fresh=False))
    assert time.monotonic() - started < 10
    assert capsys.readouterr().out.endswith(f"waiting for {peer}, for 1 s at most\n")
    pipe.open("w").close()  # lets the thread go


def test_what_is_found_and_what_fails_come_through() -> None:
    assert within_a_minute("it", lambda: 3) == 3
    with pytest.raises(TimeoutError, match="its own"):
        within_a_minute("it", fail)


@pytest.mark.usefixtures("cluster")
def test_a_ray_that_no_longer_answers_does_not_keep_a_stop_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that is just ending, since SIGTERM went to all processes of a group."""
    enough, stop = threading.Event(), threading.Event()
    threading.Timer(30.0, enough.set).start()

    class Hanging(fit.Fit):
        name, needs = "hanging", {"CPU": 1.0}

        def __init__(self) -> None:
            threading.Thread.__init__(self, daemon=True)

        def run(self) -> None:
            enough.wait()

    def never() -> dict[str, float]:
        stop.set()
        enough.wait()
        return {}

    monkeypatch.setattr(ray, "cluster_resources", never)
    monkeypatch.setattr(waiting, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "UNHEARD_SECONDS", 2.0)
    started = time.monotonic()
    ended = fit.follow(Mailbox(), Hanging(), [], stop)
    assert ended.outcome == "stopped"
    assert time.monotonic() - started < 20
    enough.set()


@pytest.mark.slow
def test_a_tracking_server_that_does_not_answer_an_evaluation_is_named_and_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.chdir(tmp_path)
        folder = Path("evaluations/digits/digits_gan")
        folder.mkdir(parents=True)
        add_to_run("digits", "digits_gan", "1", {"test/fid": 1.0}, folder)
    message = capsys.readouterr().out.splitlines()
    assert message[0] == f"waiting for MLflow at {uri}, for 60 s at most"
    assert message[1].startswith(f"warning: MLflow at {uri} lacks {folder}: ")


def fail() -> None:
    raise TimeoutError("its own")


@contextmanager
def as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_object_store_that_cannot_be_reached_is_named_without_its_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        store = f"127.0.0.1:{probe.getsockname()[1]}"
    url = f"s3://KEY:SECRET@bucket/folder?scheme=http&endpoint_override={store}"
    started = time.monotonic()
    with as_before():
        status = command.run(lambda: print(Checkpoints(url, "run", "ab" * 32).begin(8, fresh=False)))
    assert time.monotonic() - started < 60
    assert status == 1
    message = capsys.readouterr().err
    assert message.startswith("error: cluster.storage: bucket/folder/run-")
    assert "cannot be read" in message
    assert message.count("\n") == 1
    with as_before():
        command.run(lambda: print(Checkpoints("foo://KEY:SECRET@bucket", "run", "ab" * 32)))
    message = capsys.readouterr().err
    assert message.startswith("error: cluster.storage: foo://***@bucket: ")
    assert "SECRET" not in message
