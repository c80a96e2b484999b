"""DVC for real, in a small copy of the repository: what runs when, experiments, kills."""

import csv
import io
import json
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from pipelines.cli import STAGES
from pipelines.commands.all import LATE
from pipelines.commands.full_size import full_size
from pipelines.runtime.forkserver import forkserver
from tests.pipelines.checkout import RUNS, Checkout
from tests.pipelines.conftest import ROOT, cmdline, ring_run, training_workers
from tests.pipelines.sweeping import sweep_of

pytestmark = pytest.mark.timeout(900)


LONG = 5_000
"""Steps of a run that cannot end between its first checkpoint and a kill, on a fast machine either."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Iterator[Checkout]:
    """A copy in which everything is built, by forks: `test_code_dirties...` stands last, for it edits the code."""
    made = Checkout(tmp_path_factory.mktemp("checkout"), cluster)
    made.commit()
    modules = [f"pipelines.stages.{name}" for name in STAGES] + LATE
    with forkserver(modules, made.environment) as made.environment:
        yield built(made)


def built(made: Checkout) -> Checkout:
    """Everything in it."""
    runs = [f"{stage}@{run}" for stage in ("evaluate", "train") for run in RUNS]
    assert sorted(made.repro()) == sorted(
        ["code", "compare@toys", "fetch@ring8", "prepare@ring8", "reference@ring8", *runs]
    )
    made.commit()
    return made


def test_the_papers_stages_are_those_of_dvc_yaml(checkout: Checkout) -> None:
    message = "run gen full-size"
    assert (ROOT / "paper/dvc.yaml").read_text() == full_size((ROOT / "dvc.yaml").read_text()), message
    graph = checkout.dvc("dag", "--dot", "paper/dvc.yaml:train@mnist_dcgan")
    assert '"code" -> "paper/dvc.yaml:train@mnist_dcgan"' in graph


def test_what_is_built_is_not_built_again(checkout: Checkout) -> None:
    assert checkout.repro() == []
    assert checkout.dirty() == set()
    for name in RUNS:
        model = checkout.folder / "models" / "toys" / name
        assert {path.name for path in model.iterdir()} == {
            "weights.safetensors",
            "conditions.safetensors",
            "model.json",
            "README.md",
            "grid.png",
            "metrics.json",
            "curves",
            "grids",
            "last",
            "seeds",
            "training.gif",
        }
        assert [run.info.status for run in checkout.tracked(name)] == ["FINISHED"]


def test_where_and_how_often_dirties_nothing(checkout: Checkout) -> None:
    with checkout.edited():
        path = checkout.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params["logging"]["metrics_every"] = 20
        params["cluster"]["storage"] = "elsewhere"
        params["data"]["mirror"] = "/mnt/mirror"
        path.write_text(yaml.safe_dump(params))
        assert checkout.dirty() == set()


def test_what_chooses_checkpoints_dirties_every_run(checkout: Checkout) -> None:
    for field in ("score_samples", "score_every"):
        with checkout.edited():
            path = checkout.folder / "params.yaml"
            params = yaml.safe_load(path.read_text())
            params["reference"]["ring8"][field] *= 2
            path.write_text(yaml.safe_dump(params))
            assert {"train@ring_gan", "train@ring_wgan"} < checkout.dirty()


@pytest.mark.slow
def test_another_run_is_all_that_is_built(checkout: Checkout) -> None:
    with checkout.edited():
        checkout.write(**RUNS, ring_lsgan=ring_run("lsgan", steps=100))
        assert checkout.dirty() == {"train@ring_lsgan", "evaluate@ring_lsgan"}
        assert checkout.repro() == ["train@ring_lsgan", "evaluate@ring_lsgan", "compare@toys"]
        table = (checkout.folder / "comparisons" / "toys" / "table.csv").read_text()
        assert all(f"{run}," in table for run in (*RUNS, "ring_lsgan"))
        assert (checkout.folder / "models" / "toys" / "ring_lsgan" / "model.json").exists()


@pytest.mark.slow
def test_an_experiment_is_shown_beside_what_was_built(checkout: Checkout) -> None:
    with checkout.edited():
        before = checkout.weights("ring_gan")
        message = checkout.dvc("exp", "run", "-n", "faster", "-S", "runs.ring_gan.model.lr=0.003", "evaluate@ring_gan")
        assert re.findall(r"Running stage '(\S+)'", message) == ["train@ring_gan", "evaluate@ring_gan"]
        assert checkout.weights("ring_gan") != before

        rows = list(csv.DictReader(io.StringIO(checkout.dvc("exp", "show", "--csv", "--no-pager"))))
        tried = next(row for row in rows if row["Experiment"] == "faster")
        assert tried["runs.ring_gan.model.lr"] == "0.003"
        assert tried["models/toys/ring_gan/metrics.json:loss.generator"]
        assert not any("per_second" in column for column in tried)
        (line,) = re.findall(r"`dvc (exp show --only-changed.*?)`", (ROOT / "README.md").read_text())
        shown = checkout.dvc(*shlex.split(line), "--md").splitlines()
        columns = [cell.strip() for cell in shown[0].strip("|").split("|")]
        score = "evaluations/toys/ring_gan/metrics.json:fid_coordinates.mean"
        assert columns == ["Experiment", score, "runs.ring_gan.model.lr"]
        assert any("[faster]" in row for row in shown)
        newest, before_it = checkout.tracked("ring_gan")[:2]
        assert newest.info.run_name == "ring_gan lr=0.003"
        assert (newest.data.tags["change"], newest.data.tags["dvc_experiment"]) == ("lr=0.003", "faster")
        assert before_it.info.run_name == "ring_gan"
        store = MlflowClient(f"sqlite:///{checkout.folder}/tracking/mlflow.db")
        assert store.get_model_version_by_alias("ring_gan", "best").run_id == before_it.info.run_id
        (version,) = store.search_model_versions(f"run_id = '{newest.info.run_id}'")
        assert version.tags == {"change": "lr=0.003", "dvc_experiment": "faster"}

        changed: dict[str, Any] = json.loads(checkout.dvc("metrics", "diff", "--json"))
        measured = "evaluations/toys/ring_gan/metrics.json"
        assert set(changed) == {"models/toys/ring_gan/metrics.json", measured}
        assert changed["models/toys/ring_gan/metrics.json"]["loss.generator"]["diff"] != 0

        checkout.dvc("plots", "show", "--out", "plots")
        page = (checkout.folder / "plots" / "index.html").read_text()
        for curve in ("generator", "discriminator", "critic", "sliced_wasserstein"):
            assert f"curves/{curve}.csv" in page or f"curves::{curve}.csv" in page, curve
        shutil.rmtree(checkout.folder / "plots")
    with checkout.edited():
        assert checkout.here("compare", "toys").returncode == 0
        page = (checkout.folder / "comparisons" / "toys" / "index.html").read_text()
        assert re.search(r"<td>ring_gan</td><td>lr=0.003</td><td>[\d.]+</td><td>faster</td>", page)
        assert f"/runs/{newest.info.run_id}?" in page
        assert f"/runs/{before_it.info.run_id}?" in page, "that of the table's row"


@pytest.mark.slow
def test_forced_it_starts_anew(checkout: Checkout) -> None:
    with checkout.edited():
        before, weights = checkout.tracked("ring_wgan"), checkout.weights("ring_wgan")
        assert checkout.repro("--force", "--single-item", "train@ring_wgan") == ["train@ring_wgan"]
        after = checkout.tracked("ring_wgan")
        assert len(after) == len(before) + 1
        assert {run.info.status for run in after} == {"FINISHED"}
        assert checkout.weights("ring_wgan") == weights


def killed_half_way(checkout: Checkout, name: str) -> psutil.Process:
    """Train a long run, and terminate DVC once there is a checkpoint. Returns the stage it leaves behind."""
    checkout.write(**RUNS, **{name: ring_run(steps=LONG)})
    dvc = checkout.start_dvc("repro", f"train@{name}")
    end = time.monotonic() + 240
    while not list(checkout.folder.glob(f"storage/{name}-*/step_*/manifest.json")):
        assert dvc.poll() is None, checkout.message.read_text()
        assert time.monotonic() < end, checkout.message.read_text()
        time.sleep(0.05)
    children = psutil.Process(dvc.pid).children(recursive=True)
    stage = next(child for child in children if cmdline(child)[2:3] == ["train"])
    dvc.send_signal(signal.SIGTERM)
    dvc.wait(timeout=30)
    return stage


@pytest.mark.slow
def test_a_second_repro_right_after_a_sigterm_goes_on_alone(checkout: Checkout) -> None:
    with checkout.edited():
        orphan = killed_half_way(checkout, "long")
        assert orphan.is_running()
        second = checkout.start_dvc("repro", "train@long")
        most = 0
        while second.poll() is None:
            most = max(most, len(training_workers()))
            time.sleep(0.1)
        assert second.returncode == 0, checkout.message.read_text()
        assert not orphan.is_running()
        assert most == 1
        assert (
            json.loads((checkout.folder / "models" / "toys" / "long" / "last" / "model.json").read_text())["step"]
            == LONG
        )
        runs = checkout.tracked("long")
        assert [run.info.status for run in runs] == ["FINISHED"]
        assert checkout.steps(runs[0]) == list(range(50, LONG + 1, 50))


@pytest.mark.slow
def test_forced_it_does_not_go_on_with_an_unfinished_run(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    with checkout.edited():
        monkeypatch.setitem(checkout.environment, "SHELL", "/bin/bash")  # becomes the stage, unlike many a sh
        killed_half_way(checkout, "forced").wait(timeout=60)
        assert [run.info.status for run in checkout.tracked("forced")] == ["KILLED"]
        assert checkout.repro("-sf", "train@forced") == ["train@forced"]
        newest, killed = checkout.tracked("forced")
        assert (newest.info.status, killed.info.status) == ("FINISHED", "KILLED")
        assert checkout.steps(newest) == list(range(50, LONG + 1, 50))


@pytest.mark.slow
def test_a_run_that_dvc_did_not_take_over_is_exported_again(checkout: Checkout) -> None:
    """DVC and its stage killed right after the run has noted that it is finished."""
    with checkout.edited():
        checkout.write(**RUNS, late=ring_run(steps=200))
        dvc = checkout.start_dvc("repro", "train@late")
        end = time.monotonic() + 240
        while not any("finished" in note.read_text() for note in checkout.folder.glob("storage/late-*/run.json")):
            assert dvc.poll() is None, checkout.message.read_text()
            assert time.monotonic() < end, checkout.message.read_text()
            time.sleep(0.005)
        children = psutil.Process(dvc.pid).children(recursive=True)
        dvc.kill()
        dvc.wait()
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        lock = checkout.folder / "dvc.lock"
        assert "train@late" not in lock.read_text(), "DVC knows nothing of it"
        states = {path: path.stat().st_mtime_ns for path in checkout.folder.glob("storage/late-*/step_*/state.pt")}
        weights = checkout.weights("late")
        assert checkout.repro("train@late") == ["train@late"]
        assert {path: path.stat().st_mtime_ns for path in states} == states, "nothing was trained"
        assert checkout.weights("late") == weights
        assert [run.info.status for run in checkout.tracked("late")] == ["FINISHED"]


@pytest.mark.slow
def test_code_dirties_what_is_computed_by_it_and_nothing_else(checkout: Checkout) -> None:
    gen = checkout.folder / "gen"
    with checkout.edited():
        (gen / "nets" / "unet.py").write_text("DEPTH = 4\n")
        for name in ("losses/adversarial.py", "training/loop.py"):
            text = (gen / name).read_text()
            (gen / name).write_text(text.replace('"""', '"""\nOtherwise: ', 1) + "# another line\n")
        with (gen / "losses" / "adversarial.py").open("a") as file:
            file.write("def unused():\n    return 1\n")
        assert checkout.dirty() == set()
        with (gen / "families" / "wgan.py").open("a") as file:
            file.write("FACTOR = 2\n")
        assert checkout.dirty() == {"train@ring_wgan"}
        with (gen / "training" / "loop.py").open("a") as file:
            file.write("FACTOR = 2\n")
        assert checkout.dirty() == {"train@ring_gan", "train@ring_wgan"}
    assert checkout.dirty() == set()


@pytest.mark.slow
def test_networks_of_encoders_dirty_runs_and_sweeps_of_ali_and_bigan_alone(checkout: Checkout) -> None:
    short = {"steps": 40, "evaluate_every": 20, "seeds": 1, "space": {"model.lr": {"values": [1e-4, 1e-3]}}}
    runs = {family: ring_run(family, steps=40) for family in ("gan", "ali", "bigan")}
    sweeps = {f"{family}_lr": sweep_of(**short, run=family, family=family) for family in ("gan", "ali")}
    built = {f"train@{family}" for family in runs} | {f"sweep@{name}" for name in sweeps}
    with checkout.edited():
        checkout.write(sweeps=sweeps, **RUNS, **runs)
        assert set(checkout.repro(*built)) == built
        with (checkout.folder / "gen" / "nets" / "inference.py").open() as file:
            text = file.read()
        (checkout.folder / "gen" / "nets" / "inference.py").write_text(text.replace("SLOPE = 0.01", "SLOPE = 0.02"))
        assert checkout.dirty() & built == {"train@ali", "train@bigan", "sweep@ali_lr"}
