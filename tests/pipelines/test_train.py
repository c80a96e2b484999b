"""The stage train@<run> for real: Ray workers, an MLflow database, kills."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import ray
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from PIL import Image

from pipelines.runtime.mailbox import Event
from pipelines.runtime.worker import MailboxCallback
from tests.pipelines.conftest import ROOT, Workplace, ring_run, training_workers

LONG = 4000
"""Steps of a run that is long enough to be killed three times on its way: some seconds."""


def weights(folder: Path, name: str = "ring") -> str:
    return hashlib.sha256((folder / "models" / "toys" / name / "weights.safetensors").read_bytes()).hexdigest()


def tracked(folder: Path) -> tuple[MlflowClient, list[Run]]:
    store = MlflowClient(f"sqlite:///{folder}/tracking/mlflow.db")
    experiment = store.get_experiment_by_name("toys")
    assert experiment is not None
    return store, store.search_runs([experiment.experiment_id])


def wait_for_checkpoint(folder: Path, process: "subprocess.Popen[str]", seconds: float = 90) -> None:
    """Until the run has saved a checkpoint that is not there yet."""
    end, before = time.monotonic() + seconds, saved(folder)
    while saved(folder) <= before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no checkpoint"
        time.sleep(0.05)


def saved(folder: Path) -> set[str]:
    """The steps there are checkpoints of."""
    return {path.parent.name for path in folder.glob("storage/ring-*/step_*/manifest.json")}


def test_from_data_to_a_tracked_model(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(workers=2))
    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    assert "step 400/400" in done.stdout
    model = workplace.folder / "models" / "toys" / "ring"
    left = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    losses, scores = (
        ("discriminator", "generator", "d_real", "d_fake"),
        ("mode_variation", "modes_covered", "high_quality", "sliced_wasserstein"),
    )
    curves = {f"curves/{name}.csv" for name in (*losses, *scores)}
    exported = {"weights.safetensors", "conditions.safetensors", "model.json", "grid.png"}
    grids = {f"grids/samples-{step:08d}.webp" for step in (0, 400)}
    assert (
        left == exported | {f"last/{name}" for name in exported} | {"metrics.json", "seeds/seeds.json"} | curves | grids
    )
    described = json.loads((model / "model.json").read_text())
    assert (described["hyperparameters"]["batch"], described["hyperparameters"]["compute.workers"]) == (32, 2)
    assert 0 < described["seconds"] < 300
    assert json.loads((model / "last" / "model.json").read_text())["step"] == 400
    assert json.loads((model / "metrics.json").read_text())["images_seen"] == 400 * 2 * 32
    curve = pd.read_csv(model / "curves" / "generator.csv")
    assert list(curve.columns) == ["step", "generator"]
    assert curve["step"].tolist() == list(range(50, 401, 50))
    assert np.asarray(Image.open(model / "grid.png").convert("L")).std() > 1
    check_sampling_in_a_fresh_process(model)
    check_tracking(workplace.folder, model)


def check_sampling_in_a_fresh_process(model: Path) -> None:
    code = (
        "import sys, gen; images = gen.load(sys.argv[1]).sample(gen.Noise(0, rows=5)); "
        "assert not {'ray', 'mlflow', 'dvc'} & set(sys.modules); print(tuple(images.shape))"
    )
    message = subprocess.run([sys.executable, "-c", code, model], cwd=ROOT, capture_output=True, text=True, check=True)
    assert message.stdout.strip() == "(5, 2, 1, 1)"


def check_tracking(folder: Path, model: Path) -> None:
    store, runs = tracked(folder)
    assert len(runs) == 1
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "ring"
    assert run.data.params["model.latent"] == "4"
    assert run.data.params["compute.workers"] == "2"
    for tag in ("identity", "git_commit", "git_dirty", "dvc_data_hash", "family", "dataset", "seed", "torch", "device"):
        assert run.data.tags[tag], tag
    history = store.get_metric_history(run.info.run_id, "loss/generator")
    assert [metric.step for metric in history] == list(range(50, 401, 50))
    assert run.data.metrics["images_seen"] == 400 * 2 * 32
    assert run.inputs.dataset_inputs[0].dataset.name == "ring8"
    pictures = [file.path for file in store.list_artifacts(run.info.run_id, "images")]
    assert {f"samples+step+{step}+" for step in (0, 400)} <= {
        p.removeprefix("images/").split("timestamp")[0] for p in pictures
    }
    mlflow.set_tracking_uri(f"sqlite:///{folder}/tracking/mlflow.db")
    served = mlflow.pyfunc.load_model("models:/ring/1")
    assert "models:/ring@best" in store.get_registered_model("ring").description
    refused = (
        ([-1], "line 0: rows: -1; "),
        ([0], "rows: 0; "),
        ([10**12], "rows: 1,000"),
        ([9000] * 2, "rows: 18,000"),
    )
    for rows, message in refused:
        with pytest.raises(MlflowException, match=message):
            served.predict(pd.DataFrame({"rows": rows, "seed": [0] * len(rows)}))
    images = served.predict(pd.DataFrame({"rows": [3, 2], "seed": [0, 1]}))
    assert images.shape == (5, 2, 1, 1)
    assert not list((folder / "tracking").rglob("*.pkl"))


def test_killed_stopped_and_bereft_of_its_worker_it_ends_at_the_same_bits(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=LONG))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.kill()
    process.communicate()
    assert not (workplace.folder / "models").exists()

    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "start it again to go on" in out
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["KILLED"]

    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    workers = training_workers()
    assert workers
    for worker in workers:
        worker.kill()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    first = weights(workplace.folder)
    store, runs = tracked(workplace.folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    steps = [metric.step for metric in store.get_metric_history(runs[0].info.run_id, "loss/generator")]
    assert steps == list(range(50, LONG + 1, 50))
    grids = sorted(path.name for path in (workplace.folder / "models" / "toys" / "ring" / "grids").iterdir())
    assert grids == [f"samples-{step:08d}.webp" for step in range(0, LONG + 1, 1000)]

    written = {path: path.stat().st_mtime_ns for path in workplace.folder.glob("storage/ring-*/step_*/state.pt")}
    again = workplace.run("train", "ring")  # finished, but perhaps not taken over by DVC: exported again
    assert again.returncode == 0, again.stderr
    assert weights(workplace.folder) == first
    assert {path: path.stat().st_mtime_ns for path in written} == written, "nothing is trained"
    store, runs = tracked(workplace.folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert len(store.search_model_versions("name = 'ring'")) == 1, "the same weights are no new version"


@pytest.mark.slow
def test_a_worker_that_hangs_is_not_waited_for_longer_than_a_minute(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=100_000))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    (worker,) = training_workers()
    worker.suspend()
    before = saved(workplace.folder)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 143, err
    assert "ring: waiting for its workers to save, for 60 s at most" in out
    assert "stopped without an answer of its workers for 60 s; what was saved before is kept; start it again" in out
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["KILLED"]
    assert before <= saved(workplace.folder)
    end = time.monotonic() + 60
    while worker.is_running():
        assert time.monotonic() < end, "it still runs"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_the_death_of_its_own_ray_is_one_line(part: str, workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=100_000))
    workplace.environment.pop("RAY_ADDRESS")
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    (dying,) = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == part]
    dying.kill()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert f"error: ring: Ray is gone (its {part} has ended); start it again to go on from what was saved" in err
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["FAILED"]


@pytest.mark.slow
def test_sigterm_to_the_whole_group_ends_run_and_record(workplace: Workplace) -> None:
    """A Ray of its own, whose processes end first."""
    workplace.write(ring=ring_run(steps=100_000))
    workplace.environment.pop("RAY_ADDRESS")
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    below = psutil.Process(process.pid).children(recursive=True)
    for one in (*below, psutil.Process(process.pid)):
        with suppress(psutil.Error):
            one.terminate()
    out, err = process.communicate(timeout=150)
    assert process.returncode in (1, 143), (out, err)
    assert "Traceback" not in err
    assert [run.info.status for run in tracked(workplace.folder)[1]] != ["RUNNING"]


def test_each_seed_is_a_training_and_a_kill_in_the_second_leaves_the_first(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=400) | {"seeds": 2})
    process = workplace.start("train", "ring")
    while not list(workplace.folder.glob("storage/ring-seed4-*/step_*/manifest.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    before = weights(workplace.folder)
    (first,) = workplace.folder.glob("storage/ring-[!s]*/step_00000400/state.pt")
    written = first.stat().st_mtime_ns

    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == written, "what was trained is not trained again"
    assert weights(workplace.folder) == before
    second = workplace.folder / "models" / "toys" / "ring" / "seeds" / "4"
    assert hashlib.sha256((second / "weights.safetensors").read_bytes()).hexdigest() != before
    assert json.loads((second / "model.json").read_text())["run"] == "ring-seed4"
    assert json.loads((second.parent / "seeds.json").read_text()) == [3, 4]
    assert len(list((second / "grids").iterdir())) == 2
    runs = {run.info.run_name: run for run in tracked(workplace.folder)[1]}
    assert len(tracked(workplace.folder)[1]) == 2
    assert {name: run.data.tags["seed"] for name, run in runs.items()} == {"ring": "3", "ring-seed4": "4"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.usefixtures("cluster")
def test_a_request_to_stop_reaches_a_run_that_is_faster_than_its_mailbox() -> None:
    class SlowMailbox:
        def put(self, event: Event) -> bool:
            time.sleep(0.2)
            return True

    callback = MailboxCallback(ray.remote(num_cpus=0)(SlowMailbox).remote())
    for step in range(1, 101):
        callback.metrics(step, {})
        time.sleep(0.05)
        if callback.stop():
            break
    assert callback.asked_to_stop


def test_a_model_that_cannot_be_written_is_one_line_and_is_exported_by_the_next_start(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=200))
    obstacle = workplace.folder / "models" / "toys"
    obstacle.parent.mkdir()
    obstacle.touch()  # in place of a folder: a disk on which nothing can be made
    done = workplace.run("train", "ring")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    (failed,) = tracked(workplace.folder)[1]
    assert failed.info.status == "FAILED"
    assert "toys" in failed.data.tags["outcome"]
    (checkpoint,) = workplace.folder.glob("storage/ring-*/step_00000200/state.pt")
    written = checkpoint.stat().st_mtime_ns

    obstacle.unlink()
    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    assert "is exported again" in done.stdout
    assert checkpoint.stat().st_mtime_ns == written, "nothing is trained"
    (run,) = tracked(workplace.folder)[1]
    assert (run.info.status, run.info.run_id) == ("FINISHED", failed.info.run_id)
    assert "outcome" not in run.data.tags


@pytest.mark.slow
def test_an_edited_hyperparameter_starts_anew(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=LONG))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.kill()
    process.communicate()
    workplace.write(ring=ring_run(steps=400, lr=1e-3))
    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    _, runs = tracked(workplace.folder)
    assert {run.info.status: run.data.params["model.lr"] for run in runs} == {"FINISHED": "0.001", "KILLED": "0.0002"}


def test_a_diverged_run_says_so_in_one_line(workplace: Workplace) -> None:
    workplace.write(ring=ring_run("wgan", lr=1e30, clip=1e30))
    done = workplace.run("train", "ring")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: ring: diverged: ")
    assert "\n" not in done.stderr.strip()
    run = tracked(workplace.folder)[1][0]
    assert run.info.status == "FAILED"
    assert "step 50" in run.data.tags["diverged"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"compute": {"workers": 64, "threads": 64}, "batch": 64},
            "64 workers x 64 threads need 4096 CPUs, the cluster has 4",
        ),
        ({"compute": {"device": "cuda"}}, "1 workers need a GPU each, the cluster has 0"),
        ({"warm_start": "nowhere"}, "runs.ring.warm_start: nowhere is no trained model"),
    ],
)
def test_what_does_not_fit_is_one_line(workplace: Workplace, changes: dict[str, object], message: str) -> None:
    run = ring_run()
    compute = {**run["compute"], **changes.pop("compute", {})}  # type: ignore[dict-item]
    workplace.write(ring={**run, **changes, "compute": compute})
    done = workplace.run("train", "ring")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (workplace.folder / "models").exists()


@pytest.mark.slow
def test_an_outage_of_mlflow_does_not_stop_training(workplace: Workplace) -> None:
    workplace.write(ring=ring_run())
    start = time.monotonic()
    done = workplace.run("train", "ring", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "warning: MLflow at http://127.0.0.1:9 lacks part of run ring" in done.stdout
    assert (workplace.folder / "models" / "toys" / "ring" / "model.json").exists()
    assert time.monotonic() - start < 150
