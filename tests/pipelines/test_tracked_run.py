"""What MLflow has of a run: its status, its description, what it was made of."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient

from gen.config.params import flat
from gen.data.dataset import Dataset
from pipelines.runtime import background
from pipelines.tracking.tracker import Tracker
from tests.pipelines.mlflow_server import facts
from tests.training.tiny import run_of


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


def test_an_experiment_that_goes_on_is_named_by_what_it_changes_now(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    message = facts(run_of("gan"), datasets["digits"])
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")

    def named(**tags: str) -> tuple[str, str | None, str | None]:
        Tracker(dataclasses.replace(message, tags={**message.tags, **tags})).close()
        (run,) = store.search_runs(["1"])
        return run.info.run_name, *map(run.data.tags.get, ("change", "dvc_experiment"))

    shorter, longer = (
        {"change": "steps=4000", "dvc_experiment": "one"},
        {"change": "steps=600", "dvc_experiment": "two"},
    )
    assert named(**shorter) == ("ring steps=4000", "steps=4000", "one")
    assert named(**longer) == ("ring steps=600", "steps=600", "two")
    assert named() == ("ring", None, None)  # committed
    assert named(**shorter) == ("ring", None, None)  # the committed run stays it


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
    assert tracker.recorder.tags.items() <= run.data.tags.items()
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
