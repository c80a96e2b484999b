"""The stages reference@ and evaluate@ for real, on digits and models that nobody has trained."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from gen import export
from gen.config.params import Cluster
from gen.extractors import Extracted
from gen.family import DataSpec
from pipelines.runtime import extraction
from pipelines.tracking import added, results
from tests.families.small import IMAGES, small
from tests.pipelines.conftest import PARAMS, Workplace
from tests.pipelines.evaluating import (
    REFERENCE,
    digits_with_models,
    evaluated,
    untrained,
    write,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cluster: str, forks: str) -> Workplace:
    return digits_with_models(tmp_path_factory.mktemp("evaluate"), cluster, forks)


@pytest.mark.slow
def test_the_same_reference_from_one_process_and_from_two_ray_workers(built: Workplace) -> None:
    folder = built.folder / "data" / "reference" / "digits" / "classifier"
    alone = {name: load_file(folder / f"{name}.safetensors") for name in ("features", "statistics")}
    write(built, REFERENCE | {"workers": 2})
    done = built.run("reference", "digits")
    assert done.returncode == 0, done.stderr
    for name, values in alone.items():
        shared = load_file(folder / f"{name}.safetensors")
        assert shared.keys() == values.keys()
        for key, value in values.items():
            torch.testing.assert_close(shared[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_what_a_worker_finds_wrong_is_one_line(built: Workplace) -> None:
    (shard,) = (built.folder / "data" / "prepared" / "digits").glob("validation*")
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    write(built, REFERENCE | {"workers": 2})
    done = built.run("reference", "digits")
    shard.write_bytes(sound)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: data/prepared/digits/validation") or last.startswith(f"error: {shard}")
    assert "Traceback" not in done.stderr


def test_samples_are_drawn_once_for_all_extractors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each seed's in parts, which every extractor looks at; what it says of them is put together in its own place."""

    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, images: torch.Tensor) -> Extracted:
            return Extracted(self.factor * images, -images)

    def draw(seed: int, rows: slice, samples: int) -> torch.Tensor:
        drawn.append((seed, rows))
        assert torch.get_num_threads() == 1, "as each of several workers has"
        return torch.arange(samples)[rows, None] + 1000.0 * seed

    drawn: list[tuple[int, slice]] = []
    moved: list[int] = []
    monkeypatch.setattr(extraction, "Sampler", lambda *arguments: SimpleNamespace(draw=draw))
    monkeypatch.setattr(extraction, "open_dataset", lambda folder: None)
    monkeypatch.setattr(extraction, "open_reference", lambda folder: SimpleNamespace(extract=Times(float(folder.name))))
    monkeypatch.setattr(export, "load", lambda folder: nn.Identity())
    where = Cluster(**PARAMS["cluster"])
    extraction._loaded_model.cache_clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    folders, one = [Path("2"), Path("3")], {"dataset": Path("d"), "resolution": None, "workers": 1}
    found = list(extraction.extract(Path("m"), folders, 2, 300, where=where, move=moved.append, **one))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert drawn == [(seed, rows) for seed in (0, 1) for rows in (slice(0, 250), slice(250, 300))]
    assert moved == [250, 50, 250, 50]
    assert extraction._loaded_model.cache_info().misses == 1
    for seed, message in enumerate(found):
        images = torch.arange(300.0)[:, None] + 1000 * seed
        for factor, one in zip((2, 3), message, strict=True):
            assert torch.equal(one.features, factor * images)
            assert torch.equal(one.logits, -images)


@pytest.mark.slow
def test_the_same_numbers_from_one_process_and_from_two_ray_workers(built: Workplace) -> None:
    found = []
    for workers in (2, 1):
        write(built, REFERENCE | {"workers": workers})
        done = built.run("evaluate", "ali")
        assert done.returncode == 0, done.stderr
        found.append(evaluated(built, "ali"))
        assert "warning: MLflow" in done.stdout  # nobody has trained it
    assert found[0] == found[1], "to the last bit"
    expected = {
        "fid_classifier",
        "kid_classifier",
        "precision_classifier",
        "reconstruction_error",
        "reconstruction_class_accuracy_classifier",
    }
    assert expected <= found[0].keys()
    protocol = evaluated(built, "ali", "protocol.json")
    assert (protocol["samples"], protocol["seeds"], protocol["split"], protocol["real_images"]) == (300, 2, "test", 297)
    extractor = protocol["extractors"]["classifier"]
    assert len(extractor["sha256"]) == 64
    assert extractor["test_accuracy"] > 0.5
    assert (extractor["counts"]["training_images"], extractor["counts"]["inception_score_splits"]) == (1300, 3)
    pictures = built.folder / "evaluations" / "tiny" / "ali" / "pictures"
    assert sorted(path.name for path in pictures.iterdir()) == [
        "latent_space.png",
        "neighbours.png",
        "reconstructions.png",
    ]
    assert all(np.asarray(Image.open(path).convert("L")).std() > 1 for path in pictures.iterdir())


def test_in_mlflow_few_labels_have_a_folder_beside_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    found = SimpleNamespace(
        search_runs=lambda *query: [SimpleNamespace(info=SimpleNamespace(run_id="1"))],
        log_batch=lambda run_id, metrics: None,
        log_artifacts=lambda run_id, folder, path: logged.append(path),
    )
    for module in (added, results):
        monkeypatch.setattr(module, "connect", lambda: found)
        monkeypatch.setattr(module, "experiment_id", lambda found, name: "1")
    for folder in ("evaluations/tiny/ali", "evaluations/tiny/svm/ali"):
        added.add_to_run("tiny", "ali", "none", {}, Path(folder))
    assert logged == ["evaluations", "evaluations/svm"]


def test_a_model_of_other_data_is_refused(built: Workplace) -> None:
    path = built.folder / "models" / "tiny" / "dcgan" / "model.json"
    was = path.read_text()
    path.write_text(was.replace(json.loads(was)["dataset"]["digest"], "f" * 64))
    before = evaluated(built, "dcgan") if (built.folder / "evaluations" / "tiny" / "dcgan").exists() else None
    assert "dcgan: of different data (prepared data " in built.refused("evaluate", "dcgan")
    for edited, message in (
        (was.replace('"run": "dcgan"', '"run": "ali"'), "model.json: the model of run 'ali'; run dvc repro -s -f"),
        (was.replace('"attempt"', '"attmpt"'), "model.json.attempt: missing; Names the MLflow run.; run dvc repro"),
    ):
        path.write_text(edited)
        assert message in built.refused("evaluate", "dcgan")
    path.write_text(was)
    if before is not None:
        assert evaluated(built, "dcgan") == before


def test_a_model_of_another_size_is_refused(built: Workplace) -> None:
    untrained(built.folder, "dcgan", resolution=32)
    message = built.refused("evaluate", "dcgan")
    untrained(built.folder, "dcgan")
    assert "dcgan: makes 1x32x32 images, data/reference/digits/classifier has 1x16x16; run dvc repro evalu" in message


def test_a_diverged_model_gets_no_number(built: Workplace) -> None:
    untrained(built.folder, "dcgan")
    model = export.load(built.folder / "models" / "tiny" / "dcgan")
    described = export.describe(built.folder / "models" / "tiny" / "dcgan")
    for _, param in model.named_parameters():
        param.data.fill_(torch.nan)
    notes = {key: described[key] for key in ("dataset", "step", "averaged", "attempt", "run")}
    settings, image = small("dcgan", IMAGES)
    export.save(built.folder / "models" / "tiny" / "dcgan", model, "dcgan", settings, DataSpec(image), **notes)
    shutil.rmtree(built.folder / "evaluations" / "tiny" / "dcgan", ignore_errors=True)
    message = built.refused("evaluate", "dcgan")
    assert re.search("models/tiny/dcgan: .*weights.safetensors: .* not finite: the model has diverged", message)
    assert not (built.folder / "evaluations" / "tiny" / "dcgan").exists()
    untrained(built.folder, "dcgan")


def test_an_encoder_that_diverged_gets_no_number(built: Workplace) -> None:
    folder = built.folder / "models" / "tiny" / "ali"
    weights = load_file(folder / "weights.safetensors")
    for name, value in weights.items():
        if name.startswith("encoder") and value.is_floating_point():
            value.fill_(torch.nan)
    save_file(weights, folder / "weights.safetensors")
    message = built.refused("evaluate", "ali")
    untrained(built.folder, "ali")
    assert re.search("models/tiny/ali: .*weights.safetensors: encoder.* not finite: the model has diverged", message)


def test_missing_weights_and_missing_labels_are_one_line(built: Workplace) -> None:
    write(built, REFERENCE | {"extractors": ["inception_bilinear"]})
    mirror = built.folder / "mirror"
    mirror.mkdir()
    (mirror / "SHA256SUMS").write_text("")
    (mirror / "inception").mkdir()
    name = "pt_inception-2015-12-05-6726825d.pth"
    (mirror / "inception" / name).write_bytes(b"not weights")
    (mirror / "SHA256SUMS").write_text(f"{'0' * 64}  inception/{name}\n")
    assert "sha256 is " in built.refused("reference", "digits", GEN_MIRROR=str(mirror))
    write(built, REFERENCE | {"classifier_steps": 0})
    assert "reference.digits.classifier_steps: the classifier among the ext" in built.refused("reference", "digits")
    write(built, REFERENCE)
    assert "reference.digts: unknown; did you mean digits?" in built.refused("reference", "digts")
    assert "no run is of group 'nowhere'; known: tiny" in built.refused("compare", "nowhere")
    assert (built.folder / "data" / "reference" / "digits" / "classifier" / "reference.json").exists()
