"""The stage train@<run> for real: Ray workers, an MLflow database, what it leaves."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.pipelines.conftest import ROOT, Workplace, ring_run
from tests.pipelines.training import tracked


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
    exported = {"weights.safetensors", "conditions.safetensors", "model.json", "grid.png", "README.md"}
    grids = {f"grids/samples-{step:08d}.webp" for step in (0, 400)}
    assert (
        left
        == exported
        | {f"last/{name}" for name in exported}
        | {"metrics.json", "seeds/seeds.json", "training.gif"}
        | curves
        | grids
    )
    with Image.open(model / "training.gif") as film:
        assert getattr(film, "n_frames", 0) == len(grids)
    described = json.loads((model / "model.json").read_text())
    assert (described["hyperparameters"]["batch_size"], described["hyperparameters"]["compute.workers"]) == (32, 2)
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
    assert run.data.params["model.latent_dim"] == "4"
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
    images = served.predict(pd.DataFrame({"rows": [3, 2], "seed": [0, 1]}))
    assert images.shape == (5, 2, 1, 1)
    assert not list((folder / "tracking").rglob("*.pkl"))


@pytest.mark.slow
def test_a_model_that_cannot_be_written_is_one_line_and_is_exported_by_the_next_start(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=200))
    obstacle = workplace.folder / "models" / "toys" / "ring" / "metrics.json"
    obstacle.parent.mkdir(parents=True)
    obstacle.symlink_to("/dev/full")  # where nothing can be written, as on a full disk
    done = workplace.run("train", "ring")
    assert done.returncode == 1
    message = r"error: models/toys/ring: cannot be written \(.*No space left.*\); make room there and repeat\n"
    assert re.fullmatch(message, done.stderr)
    (failed,) = tracked(workplace.folder)[1]
    assert failed.info.status == "FAILED"
    assert "models/toys/ring: cannot be written" in failed.data.tags["outcome"]
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
            {"compute": {"workers": 64, "threads": 64}, "batch_size": 64},
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
