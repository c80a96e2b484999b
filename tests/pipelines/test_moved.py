"""A checkout that is moved or copied: MLflow's artifacts and the environment go with it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pipelines.tracking.store import HOME, connect, experiment_id

ROOT = Path(__file__).parents[2]


def tracked_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run with an artifact and the tags that name its checkout."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    checkout.mkdir()
    monkeypatch.chdir(checkout)
    store = connect()
    tags = {"checkout": str(checkout), "storage": f"{checkout}/storage", "note": f"trained in {checkout}"}
    info = store.create_run(experiment_id(store, "digits"), tags=tags).info
    place = Path(unquote(urlsplit(info.artifact_uri).path))  # MLflow's client would remember where it wrote
    place.mkdir(parents=True)
    (place / "first.txt").write_text("before")
    return str(info.run_id)


def test_artifacts_go_with_a_checkout_that_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first one", tmp_path / "second 100%"
    run = tracked_run(first, monkeypatch)
    first.rename(second)
    monkeypatch.chdir(second)
    store = connect()
    message = capsys.readouterr().out
    assert message == f"tracking: was in {first}; MLflow's paths of artifacts are now those of {second}\n"
    store.log_text(run, "after", "second.txt")
    newer = store.create_run(experiment_id(store, "digits")).info.run_id
    store.log_text(newer, "after", "third.txt")
    assert not first.exists()
    assert [file.path for file in store.list_artifacts(run)] == ["first.txt", "second.txt"]
    artifacts = second / HOME / "artifacts" / "digits"
    assert (artifacts / run / "artifacts" / "first.txt").read_text() == "before"
    assert (artifacts / newer / "artifacts" / "third.txt").read_text() == "after"
    tags = store.get_run(run).data.tags
    assert (tags["checkout"], tags["storage"]) == (str(second), f"{second}/storage")
    assert tags["note"] == f"trained in {first}"
    connect()
    assert capsys.readouterr().out == ""


def test_a_copy_writes_into_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "first-copy"
    run = tracked_run(first, monkeypatch)
    shutil.copytree(first, second)
    monkeypatch.chdir(second)
    connect().log_text(run, "after", "second.txt")
    assert {path.name for path in first.rglob("*.txt")} == {"first.txt"}
    assert {path.name for path in second.rglob("*.txt")} == {"first.txt", "second.txt"}
    monkeypatch.chdir(first)
    assert connect().get_run(run).info.artifact_uri.startswith(first.as_uri() + "/")


def test_a_folder_under_another_name_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tracked_run(tmp_path / "first", monkeypatch)
    (tmp_path / "link").symlink_to(tmp_path / "first")
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "link"))
    assert [file.path for file in connect().list_artifacts(run)] == ["first.txt"]
    assert capsys.readouterr().out == ""


def test_an_environment_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, checkout)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)
    (checkout / ".venv" / ".installed").touch()
    assert "up to date" in planned(checkout) or "Nothing to be done" in planned(checkout)
    (tmp_path / "link").symlink_to(checkout)
    assert "pip install" not in planned(tmp_path / "link")
    moved = checkout.rename(tmp_path / "moved")
    assert "made elsewhere" in planned(moved)
    assert "pip install" in planned(moved)


def planned(checkout: Path) -> str:
    """What `make setup` would do."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "-C", str(checkout), "setup"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
