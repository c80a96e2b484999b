"""Tracking through an outage of a real MLflow server, and the thread it is done in."""

import dataclasses
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient

from gen.config.params import Run, flat
from gen.data.dataset import Dataset
from gen.figures.grid import grid, png
from pipelines.runtime import background
from pipelines.runtime.background import Background, Temporary
from pipelines.tracking import tracker as tracking
from pipelines.tracking.facts import Facts, facts_of
from pipelines.tracking.tracker import Tracker
from tests.training.tiny import run_of


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """A real MLflow server."""
    command = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--port", str(port)]
    files = ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def facts(run: Run, dataset: Dataset) -> Facts:
    return facts_of(run, "ring", dataset, identity="ab" * 32, attempt="first", storage="/storage", device="cpu")


def test_what_is_logged_in_an_outage_arrives_after_it(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.5)
    digits = datasets["digits"]
    tracker = Tracker(facts(run_of("gan"), digits))
    start = time.monotonic()
    for step in [*range(3000), *range(2990, 3000)]:  # a worker that was replaced tells the last again
        tracker.metrics(step, {"loss/generator": float(step), "loss/discriminator": 0.5})
    tracker.grid(0, "samples", png(grid(_images(digits))))
    assert time.monotonic() - start < 1
    with server(tmp_path, port):
        tracker.end("FINISHED")
        tracker.close()
        assert "warning" not in capsys.readouterr().out
        store = MlflowClient(f"http://127.0.0.1:{port}")
        experiment = store.get_experiment_by_name("test")
        assert experiment is not None
        (run,) = store.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"
        history = store.get_metric_history(run.info.run_id, "loss/generator")
        assert [metric.value for metric in history] == list(range(3000))
        assert any("samples" in file.path for file in store.list_artifacts(run.info.run_id, "images"))


@pytest.mark.slow
def test_a_database_that_is_locked_at_first_costs_no_metric(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(background, "NOTICE_SECONDS", 0.5)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    MlflowClient(uri).search_experiments()
    lock = sqlite3.connect(tmp_path / "mlflow.db")
    lock.execute("BEGIN EXCLUSIVE")
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    tracker.metrics(1, {"loss/generator": 0.5})
    end = time.monotonic() + 60
    while not tracker.background.outage:
        assert time.monotonic() < end
        time.sleep(0.1)
    tracker.metrics(2, {"loss/generator": 0.25})
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    before = signal.signal(signal.SIGUSR1, lambda *_: lock.close())  # in the thread that made it
    tracker.end("FINISHED")
    tracker.close()
    signal.signal(signal.SIGUSR1, before)
    message = capsys.readouterr().out
    assert message.startswith(f"waiting for MLflow at {uri}, ")
    assert "locked" in message
    assert "warning" not in message
    (run,) = MlflowClient(uri).search_runs(["1"])
    assert run.info.status == "FINISHED"
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "loss/generator")
    assert [metric.value for metric in history] == [0.5, 0.25]


def test_a_proxy_that_refuses_at_first_costs_no_metric(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.2)
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")

    class Refusing(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(403)
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815

    proxy = HTTPServer(("127.0.0.1", port), Refusing)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    tracker.metrics(1, {"loss/generator": 0.5})
    end = time.monotonic() + 60
    while "403" not in tracker.background.outage:
        assert time.monotonic() < end
        time.sleep(0.1)
    proxy.shutdown()
    proxy.server_close()
    with server(tmp_path, port):
        tracker.end("FINISHED")
        tracker.close()
        (run,) = MlflowClient(f"http://127.0.0.1:{port}").search_runs(["1"])
    assert (run.info.status, run.data.metrics["loss/generator"]) == ("FINISHED", 0.5)


def test_a_server_that_drips_is_given_up(
    datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "RECORD_SECONDS", 2.0)
    monkeypatch.setattr(background, "NOTICE_SECONDS", 0.5)
    dripping = socket.create_server(("127.0.0.1", 0))
    uri = f"http://127.0.0.1:{dripping.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    def drip() -> None:
        caller, _ = dripping.accept()
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with suppress(OSError):
            while True:
                caller.sendall(b" ")
                time.sleep(0.5)

    threading.Thread(target=drip, daemon=True).start()
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    tracker.end("FINISHED")
    started = time.monotonic()
    tracker.close()
    assert time.monotonic() - started < 20
    message = capsys.readouterr().out.splitlines()
    assert message[0] == f"waiting for MLflow at {uri}, which is slow; for 2 s at most"
    assert message[1].startswith(f"warning: MLflow at {uri} lacks part of run ring: it does not answer")


def test_a_run_whose_stage_fails_does_not_seem_to_go_on(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    with pytest.raises(ZeroDivisionError), tracker.ended_whatever_happens():
        tracker.metrics(0, {"one": 1 / 0})
    (run,) = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_runs(["1"])
    assert run.info.status == "FAILED"


def test_a_run_that_goes_on_no_longer_says_why_it_ended(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    message = dataclasses.replace(facts(run_of("gan"), datasets["digits"]), storage="/mnt/o'brien/storage")
    first = Tracker(message)
    first.end("KILLED", outcome="interrupted")
    first.close()
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (before,) = store.search_runs(["1"])
    assert (before.info.status, before.data.tags["outcome"]) == ("KILLED", "interrupted")
    second = Tracker(message)
    second.close()
    (after,) = store.search_runs(["1"])
    assert (after.info.status, after.info.run_id) == ("RUNNING", before.info.run_id)
    assert "outcome" not in after.data.tags
    assert after.data.tags["identity"] == message.tags["identity"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "mlflow.db"], "no ./mlruns"


@pytest.mark.parametrize("call", ["log_batch", "log_dict", "log_inputs"])
def test_a_run_is_described_whole_though_an_outage_came_between(
    call: str, datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.01)
    failures = fail_once(call, monkeypatch)
    message = facts(run_of("gan"), datasets["digits"])
    tracker = Tracker(message)
    tracker.end("FINISHED")
    tracker.close()
    assert failures == [call]
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = store.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert tracker.tags.items() <= run.data.tags.items()
    assert run.data.params == {key: str(value) for key, value in flat(message.params).items()}
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["digits"]
    assert [file.path for file in store.list_artifacts(run.info.run_id, "dataset")] == ["dataset/MANIFEST.json"]


def fail_once(call: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the first such call of a store go unanswered; it then stands in the list."""
    answer: Callable[..., Any] = getattr(MlflowClient, call)
    failures: list[str] = []

    def once(*arguments: Any, **named: Any) -> Any:
        if not failures:
            failures.append(call)
            raise requests.ConnectionError
        return answer(*arguments, **named)

    monkeypatch.setattr(MlflowClient, call, once)
    return failures


def test_runs_of_an_experiment_deleted_in_mlflows_pages_are_tracked(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    store.delete_experiment(store.create_experiment("test", artifact_location=tmp_path.as_uri()))
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    tracker.end("FINISHED")
    tracker.close()
    (run,) = store.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert "family gan on digits, with seed" in run.data.tags["mlflow.note.content"]
    assert "group test" in store.get_experiment("1").tags["mlflow.note.content"], "an experiment without gets one"
    assert capsys.readouterr().out == ""


def test_a_description_written_in_mlflows_pages_stays(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    for again in (False, True):
        tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
        tracker.end("FINISHED")
        tracker.close()
        (run,) = store.search_runs(["1"])
        if not again:
            store.set_experiment_tag("1", "mlflow.note.content", "Mine.")
            store.set_tag(run.info.run_id, "mlflow.note.content", "Mine, too.")
    assert store.get_experiment("1").tags["mlflow.note.content"] == "Mine."
    assert run.data.tags["mlflow.note.content"] == "Mine, too."


def _images(dataset: Dataset) -> "object":
    import torch

    return torch.from_numpy(dataset.read("test").images[:4].copy()).float() / 127.5 - 1


def test_work_is_done_in_order_and_again_when_it_fails_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.01)
    done: list[int] = []
    failures = iter([True, True, False])

    def sometimes() -> None:
        if next(failures):
            raise Temporary("not yet")
        done.append(1)

    worker = Background()
    worker.put(sometimes)
    worker.put(lambda: done.append(2))
    assert worker.close(5, "MLflow") == ""
    assert done == [1, 2]


def test_what_fails_for_good_is_said_and_the_rest_goes_on() -> None:
    done: list[int] = []
    worker = Background()
    worker.put(lambda: done.append(1 // 0))
    worker.put(lambda: done.append(2))
    assert "division" in worker.close(5, "MLflow")
    assert done == [2]


def test_too_much_is_dropped_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CAPACITY", 3)
    hold = threading.Event()
    done: list[int] = []
    worker = Background()
    start = time.monotonic()
    for _ in range(10):
        worker.put(hold.wait, 0.2)  # type: ignore[arg-type]
    worker.put(lambda: done.append(1), keep=True)
    assert worker.close(0.1, "MLflow") == "more than 3 records were waiting"
    assert time.monotonic() - start < 2
    hold.set()
    worker.thread.join(5)
    assert done == [1], "what is to be kept is never dropped"


def test_an_outage_is_waited_for_less_long_than_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.05)

    def never() -> None:
        raise Temporary("it does not answer")

    slow, out = Background(), Background()
    slow.put(lambda: time.sleep(0.6))
    out.put(never)
    time.sleep(0.1)
    assert slow.close(0.2, "MLflow") == ""
    assert out.close(0.2, "MLflow") == "it does not answer"
