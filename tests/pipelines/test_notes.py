"""What MLflow is told after a training, and what it says of it: numbers in groups, descriptions, comparisons."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.commands.ui import pages
from pipelines.tracking.added import add_comparison, add_to_run
from pipelines.tracking.names import renamed
from pipelines.tracking.store import COMPARISONS, experiment_id
from pipelines.tracking.tracked import tracked
from tests.pipelines.test_ui import measured_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_comparison_is_no_run_of_its_group(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version's is deleted; the group's description has its table, unless somebody wrote another."""
    monkeypatch.chdir(tmp_path)
    group = experiment_id(store, "digits")
    run = measured_run(store, group, "gan", 1000, "test/fid_pixels")
    older = store.create_run(group, run_name="compare", tags={"comparison": "true"}).info.run_id
    folder = tmp_path / "comparisons" / "digits"
    folder.mkdir(parents=True)
    (folder / "table.md").write_text("| run | fid pixels |\n| --- | --- |\n| gan | 4.20 |\n")
    (folder / "samples.png").write_bytes(b"picture")
    for _ in range(2):
        add_comparison("digits", folder)
    assert store.get_run(older).info.lifecycle_stage == "deleted"
    assert [one.info.run_id for one in store.search_runs([group])] == [run]
    (kept,) = store.search_runs([experiment_id(store, COMPARISONS)])
    assert kept.info.run_name == "digits"
    note = store.get_experiment(group).tags["mlflow.note.content"]
    assert note.startswith("Runs of the group digits: ")
    assert "\n\n| run | fid pixels |" in note
    assert note.endswith(f"![](get-artifact?path=samples.png&run_uuid={kept.info.run_id})")
    assert pages().keys() == {"digits", "digits, compared"}
    store.set_experiment_tag(group, "mlflow.note.content", "Mine.")
    add_comparison("digits", folder)
    assert store.get_experiment(group).tags["mlflow.note.content"] == "Mine."


def test_what_is_found_out_later_is_in_a_runs_description(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    group = experiment_id(store, "digits")
    tags = {"run": "gan", "attempt": "first", "mlflow.note.content": "One training of the family gan."}
    run = store.create_run(group, tags=tags).info.run_id
    folder = tmp_path / "evaluations" / "digits" / "gan"
    folder.mkdir(parents=True)
    for value in (4.25, 3.25):
        numbers = {"test/fid_pixels": value, "test_floor/fid_pixels": 1.5, "test_sd_draws/fid_pixels": 0.1}
        add_to_run("digits", "gan", "first", numbers, folder.relative_to(tmp_path))
    note = store.get_run(run).data.tags["mlflow.note.content"]
    assert note == (
        "One training of the family gan.\n\n| test split | model | real data |\n| --- | --- | --- |\n"
        f"| fid pixels | 3.25 | 1.50 |\n\n![](get-artifact?path=grid.png&run_uuid={run})"
    )
    (found,) = tracked("digits")
    assert (found.training, found.attempt, found.metrics["test/fid_pixels"]) == ("gan", "first", 3.25)
    assert found.address == f"http://127.0.0.1:5000/#/experiments/{group}/runs/{run}?workflowType=machine_learning"


def test_older_names_of_metrics_are_read_by_those_of_now() -> None:
    stored = {
        "fid_classifier": 1,
        "kid_subset_sd_classifier_sd_draws": 2,
        "fid_classifier_floor": 3,
        "svm_error_percent_at_random_few_reduced": 4,
        "test/recall_classifier": 5,
        "recall_classifier": 6,
        "seconds": 7,
        "validation/fid_classifier": 8,
    }
    assert renamed(stored) == {
        "test/fid_classifier": 1,
        "test_sd_draws/kid_subset_sd_classifier": 2,
        "test_floor/fid_classifier": 3,
        "test/svm_error_percent_at_random_few_reduced": 4,
        "test/recall_classifier": 5,
        "seconds": 7,
        "validation/fid_classifier": 8,
    }
