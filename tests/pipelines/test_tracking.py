"""Tracking through outages of a real MLflow server, a locked database and a full disk."""

import multiprocessing
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from gen.data.dataset import Dataset
from gen.figures.grid import grid, png
from pipelines.runtime import background
from pipelines.tracking import store
from pipelines.tracking import tracker as tracking
from pipelines.tracking.tracker import Tracker
from tests.pipelines.conftest import Workplace, ring_run
from tests.pipelines.mlflow_server import facts, free_port, server
from tests.training.tiny import run_of


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
    assert time.monotonic() - start < 5
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


@pytest.mark.slow
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


def test_the_files_of_a_small_model_are_not_waited_for_longer_than_two_minutes(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    weights = tmp_path / "last" / "weights.safetensors"
    for megabytes, seconds in ((0, 120), (100, 220), (5000, 600)):
        with weights.open("wb") as file:
            file.truncate(megabytes * 10**6)
        assert tracking.upload_seconds(tmp_path) == seconds


def connect_on_a_full_disk(folder: Path) -> None:
    """Makes the database with room for 400 KiB of it, half of what it takes."""
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400 * 1024, 400 * 1024))
    try:
        store.connect()
    except Exception as error:
        (folder / "message").write_text(store.in_short(error))


def connect_in(folder: Path) -> None:
    os.chdir(folder)
    store.connect()


@pytest.mark.slow
def test_a_database_that_was_not_made_to_its_end_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    context = multiprocessing.get_context("spawn")
    full = context.Process(target=connect_on_a_full_disk, args=(tmp_path,))
    full.start()
    full.join()
    assert "disk" in (tmp_path / "message").read_text()
    folder = tmp_path / "tracking"
    killed = context.Process(target=connect_in, args=(tmp_path,))
    killed.start()
    while not any(part.stat().st_size > 200 * 1024 for part in folder.glob("*.db")):
        assert killed.is_alive()
        time.sleep(0.002)
    assert not (folder / "mlflow.db").exists(), "it was made too fast to be killed"
    killed.kill()
    killed.join()
    assert store.experiment_id(store.connect(), "digits")
    assert {path.name for path in folder.glob("*.db*")} == {"mlflow.db"}


@pytest.mark.slow
def test_a_full_disk_is_two_lines_and_the_same_command_adds_what_is_lacking(workplace: Workplace) -> None:
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this system lets nobody have a disk of his own")
    workplace.write(ring=ring_run())
    (workplace.folder / "tracking").mkdir()
    gen = Path(sys.executable).with_name("gen")
    done = subprocess.run(
        [*apart, "sh", "-c", f"mount -t tmpfs -o size=1200k none tracking && exec {gen} train ring"],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    waited, warned = [line for line in done.stdout.splitlines() if not line.startswith("ring: ")]
    assert waited.endswith("mlflow.db, database or disk is full; for 30 s at most")
    remedy = "database or disk is full; when it works again, `gen train ring` adds it, and trains nothing"
    assert warned.endswith(f"lacks part of run ring: {remedy}")
    exported, storage = workplace.folder / "models", workplace.folder / "storage"
    models = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    written = {path: path.stat().st_mtime_ns for path in storage.rglob("state.pt")}
    again = workplace.run("train", "ring")
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()} == models, "to DVC, no change"
    assert {path: path.stat().st_mtime_ns for path in storage.rglob("state.pt")} == written, "nothing is trained"
    store = MlflowClient(f"sqlite:///{workplace.folder}/tracking/mlflow.db")
    (run,) = store.search_runs(["1"])
    history = store.get_metric_history(run.info.run_id, "loss/generator")
    assert (run.info.status, [metric.step for metric in history]) == ("FINISHED", list(range(50, 401, 50)))
    pictures = {file.path.split("+")[2] for file in store.list_artifacts(run.info.run_id, "images")}
    assert pictures == {"0", "400"}, "also the one that no checkpoint has"
    assert len(store.search_model_versions("name = 'ring'")) == 1


def _images(dataset: Dataset) -> "object":
    import torch

    return torch.from_numpy(dataset.read("test").images[:4].copy()).float() / 127.5 - 1
