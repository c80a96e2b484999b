"""What MLflow could not be told: kept on disk, sent by the next stage or by gen sync, and there once."""

import dataclasses
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from PIL import Image

from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.figures.grid import png
from pipelines.commands import sync
from pipelines.tracking import tracker as tracking
from pipelines.tracking import unsent
from pipelines.tracking.added import add_to_run
from pipelines.tracking.facts import Facts
from pipelines.tracking.interrupted import PROCESS, end_interrupted, namespace
from pipelines.tracking.recorder import Record, Recorder
from pipelines.tracking.tracker import Tracker
from tests.pipelines.mlflow_server import facts, free_port, server
from tests.training.tiny import run_of

FOLDER = Path("tracking/unsent")


class Outage(NamedTuple):
    """What was kept in an outage, and what became of it."""

    began: int
    ended: int
    """In milliseconds."""
    said: str
    """While it lasted."""
    while_out: str
    """By gen sync, of which nothing could be sent."""
    sent: list[str]
    """Lines of gen sync after it."""
    left: list[Path]
    """In tracking/unsent after that."""
    store: MlflowClient
    folder: Path

    def run(self, name: str, attempt: str) -> Run:
        found = self.store.get_experiment_by_name("test")
        assert found is not None
        which = f"tags.run = '{name}' and tags.attempt = '{attempt}'"
        (run,) = self.store.search_runs([found.experiment_id], which)
        return run


@pytest.fixture(scope="module")
def outage(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """A run that failed, results of it, a sweep, and a run with a record that MLflow does not take; sent twice."""
    folder, port = tmp_path_factory.mktemp("outage"), free_port()
    began = int(time.time() * 1000)
    message = facts(run_of("gan"), datasets["digits"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tracking, "PATIENCE_SECONDS", 0.5)
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with redirect_stdout(io.StringIO()) as said:
            told_in_an_outage(message)
            ended = int(time.time() * 1000) + 1
            found = Path("evaluations/test/ring")
            found.mkdir(parents=True)
            (found / "results.json").write_text("{}")
            add_to_run("test", "ring", "first", {"test/fid": 1.25}, found)
            shutil.rmtree(found)
            sweep = Tracker(dataclasses.replace(message, name="sweep", attempt="a"))
            trial = Tracker(dataclasses.replace(message, name="k=1", attempt="a_k=1"), sweep.background, sweep)
            trial.metrics(5, {"validation/fid": 2.0})
            trial.end("FINISHED")
            sweep.end("FINISHED")
            sweep.close()
            told_in_an_outage(dataclasses.replace(message, name="odd"))
        spoil(max(FOLDER.glob("*-odd/entry.json")))
        shutil.copytree(FOLDER, folder / "again")
        with pytest.raises(InputError) as while_out:
            sync.main()
        with server(folder, port):
            with redirect_stdout(io.StringIO()) as sent:
                sync.main()
                left = [*FOLDER.iterdir()]
                shutil.copytree(folder / "again", FOLDER, dirs_exist_ok=True)  # as if killed before it was removed
                sync.main()
            store = MlflowClient(f"http://127.0.0.1:{port}")
            lines = sent.getvalue().splitlines()
            yield Outage(began, ended, said.getvalue(), str(while_out.value), lines, left, store, folder)


def told_in_an_outage(message: Facts) -> None:
    """A run with three metrics, a picture, a text and an end."""
    tracker = Tracker(message)
    for step in (1, 2, 3):
        tracker.metrics(step, {"loss/generator": step / 2})
    tracker.grid(3, "samples", png(Image.new("RGB", (8, 8))))
    tracker.text("traceback.txt", "what went wrong")
    tracker.end("FAILED", diverged="loss/generator is not finite")
    tracker.close()


def spoil(path: Path) -> None:
    """Put a metric with an illegal name before all else."""
    entry = json.loads(path.read_text())
    entry["told"]["runs"][0]["records"].insert(0, ["metrics", {"values": [["? %", 1.0, 0, 0]]}, None])
    path.write_text(json.dumps(entry))


def test_what_is_kept_is_said_and_stays_while_mlflow_is_out(outage: Outage) -> None:
    kept = "it is kept in tracking/unsent, and the next stage or `gen sync` sends it"
    assert re.search(f"lacks part of run ring: .*; {kept}\n", outage.said)
    assert re.search("lacks evaluations/test/ring: .*; it is kept in tracking/unsent", outage.said)
    assert outage.while_out.endswith("; 4 of tracking/unsent wait for it")
    assert outage.sent[0] == "sent ring"
    assert outage.sent.count("sent sweep") == 2
    assert outage.left == []


def test_a_run_is_whole_and_there_once_with_its_own_times(outage: Outage) -> None:
    run = outage.run("ring", "first")
    assert (run.info.status, run.data.tags["diverged"]) == ("FAILED", "loss/generator is not finite")
    assert outage.began <= run.info.start_time <= run.info.end_time <= outage.ended
    history = outage.store.get_metric_history(run.info.run_id, "loss/generator")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 1.0), (3, 1.5)]
    files = {file.path for file in outage.store.list_artifacts(run.info.run_id)}
    assert files == {"dataset", "images", "traceback.txt", "evaluations"}
    pictures = [file.path for file in outage.store.list_artifacts(run.info.run_id, "images")]
    assert len([path for path in pictures if path.endswith(".png")]) == 1
    assert run.data.params["family"] == "gan"
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["digits"]


def test_results_find_the_run_that_was_kept_before_them(outage: Outage) -> None:
    run = outage.run("ring", "first")
    history = outage.store.get_metric_history(run.info.run_id, "test/fid")
    assert [one.value for one in history] == [1.25]
    files = [file.path for file in outage.store.list_artifacts(run.info.run_id, "evaluations")]
    assert files == ["evaluations/results.json"]


def test_a_sweeps_trials_stay_below_it(outage: Outage) -> None:
    trial, sweep = outage.run("k=1", "a_k=1"), outage.run("sweep", "a")
    assert trial.data.tags[MLFLOW_PARENT_RUN_ID] == sweep.info.run_id
    assert (trial.data.metrics, trial.info.status) == ({"validation/fid": 2.0}, "FINISHED")


def test_what_mlflow_will_never_take_keeps_nothing_back(outage: Outage) -> None:
    assert outage.run("odd", "first").info.status == "FAILED"
    assert any("lacks part of odd for good: " in line for line in outage.sent)


def test_the_next_run_sends_what_waits_before_it_begins(
    outage: Outage, datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(outage.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", outage.store.tracking_uri)
    message = dataclasses.replace(facts(run_of("gan"), datasets["digits"]), name="later")
    lacking = [Record("metrics", {"values": [("loss/generator", 0.5, 1, 1)]})]
    unsent.keep_runs([(Recorder(message, began=1), lacking)])
    second = Tracker(dataclasses.replace(message, attempt="second"))
    second.end("FINISHED")
    second.close()
    assert capsys.readouterr().out == ""
    assert not [*FOLDER.iterdir()]
    assert outage.run("later", "first").data.metrics["loss/generator"] == 0.5
    assert outage.run("later", "second").info.status == "FINISHED"


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an MLflow that is not there, in an empty checkout, and is given up after half a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    return os.environ["MLFLOW_TRACKING_URI"]


def test_what_is_for_another_mlflow_waits_for_it_and_is_said(
    out: str,
    datasets: dict[str, Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told_in_an_outage(facts(run_of("gan"), datasets["digits"]))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    capsys.readouterr()
    sync.main()
    assert f"is for MLflow at {out}; let MLFLOW_TRACKING_URI name it" in capsys.readouterr().out
    assert len([*FOLDER.iterdir()]) == 1
    (entry,) = FOLDER.glob("*/entry.json")
    entry.write_text(entry.read_text()[:100])
    sync.main()
    assert "entry.json: cannot be read" in capsys.readouterr().out


def test_with_no_room_to_keep_it_the_old_remedy_is_said(
    out: str, datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tracking").write_text("a file where the folder would be")
    tracker = Tracker(facts(run_of("gan"), datasets["digits"]))
    tracker.end("FINISHED")
    tracker.close()
    assert "adds it, and trains nothing" in capsys.readouterr().out


def train_until_killed(message: Facts) -> None:
    tracker = Tracker(message)
    while not tracker.recorder.run_id:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_whose_process_was_killed_is_marked_as_interrupted(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    message = facts(run_of("gan"), datasets["digits"])
    killed = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(message,))
    killed.start()
    killed.join()
    alive = Tracker(dataclasses.replace(message, name="other", attempt="other"))
    while not alive.recorder.run_id:
        time.sleep(0.01)
    store = MlflowClient(uri)
    found = {run.data.tags["run"]: run for run in store.search_runs(["1"])}
    assert found["ring"].info.status == "KILLED", "the next run that begins says so"
    assert found["ring"].data.tags["outcome"] == "interrupted"
    store.update_run(found["ring"].info.run_id, status="RUNNING")
    assert end_interrupted(store, tmp_path) == ["ring"]
    assert end_interrupted(store, tmp_path) == []
    assert store.get_run(found["other"].info.run_id).info.status == "RUNNING"
    store.update_run(found["ring"].info.run_id, status="RUNNING")
    store.set_tag(found["ring"].info.run_id, PROCESS, "another-host pid:[1] 1 1")
    assert end_interrupted(store, tmp_path) == [], "of another host's processes nothing is known"
    alive.end("FINISHED")
    alive.close()
    store.set_tag(found["ring"].info.run_id, PROCESS, f"{socket.gethostname()} {namespace()} {2**22} 1")
    again = Tracker(message)  # the same command again: nothing is left of how it ended
    again.end("FINISHED")
    again.close()
    resumed = store.get_run(found["ring"].info.run_id)
    assert (resumed.info.status, resumed.data.tags.get("outcome")) == ("FINISHED", None)
    assert unsent.kept() == []
