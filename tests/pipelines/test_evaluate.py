"""The stages reference@, evaluate@ and compare@ for real, on digits; training only where it matters."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from gen import export
from gen.config import Run
from gen.data.dataset import open_dataset
from gen.training import image_shape, initial_family
from tests.families.small import IMAGES, small
from tests.pipelines.conftest import PARAMS, Workplace
from tests.training.tiny import DIGITS, prepared, run_of

REFERENCE = {
    "extractors": ["classifier"],
    "size": 16,
    "classifier_steps": 60,
    "samples": 300,
    "seeds": 2,
    "score_samples": 100,
    "workers": 1,
}

FEW = {
    "name": "few",
    "labelled": 50,
    "draws": 3,
    "validation": 200,
    "costs": 5,
    "neighbours": 1,
    "neighbour_draws": 2,
}


def digits_run(family: str) -> dict[str, Any]:
    return run_of(family, IMAGES, size=16, group="tiny", steps=40).model_dump()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Workplace:
    """Digits with their reference, and two models nobody has trained."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = prepared(folder, "digits")
        (folder / "data").mkdir()
        made.folder.parent.rename(folder / "data" / "prepared")
    place = Workplace(folder, cluster)
    write(place, REFERENCE)
    done = place.here("reference", "digits")
    assert done.returncode == 0, done.stderr
    for family in ("ali", "dcgan"):
        untrained(folder, family)
    return place


def write(place: Workplace, reference: dict[str, Any], protocol: dict[str, Any] = FEW) -> None:
    params = PARAMS | {"datasets": {"digits": DIGITS}, "reference": {"digits": reference}, "compare": ["tiny"]}
    params["svm"] = {"ali": {"dataset": "digits", "group": "tiny", "protocol": protocol}}
    runs = {family: digits_run(family) for family in ("ali", "dcgan")}
    (place.folder / "params.yaml").write_text(yaml.safe_dump(params | {"runs": runs}))


def untrained(folder: Path, family: str) -> None:
    run = Run(**digits_run(family))
    dataset = open_dataset(folder / "data" / "prepared" / "digits")
    export.save(
        folder / "models" / "tiny" / family,
        initial_family(run, dataset).train(False),
        family,
        run.model,
        image_shape(run, dataset),
        dataset={"name": "digits", "digest": dataset.digest, "classes": list(dataset.classes)},
        step=0,
        averaged=False,
        run=family,
        attempt="none",
    )


def evaluated(place: Workplace, run: str, name: str = "metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.folder / "evaluations" / "tiny" / run / name).read_text())
    return found


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


def test_the_same_numbers_from_one_process_and_from_two_ray_workers(built: Workplace) -> None:
    found = []
    for workers in (1, 2):
        write(built, REFERENCE | {"workers": workers})
        done = built.run("evaluate", "ali")
        assert done.returncode == 0, done.stderr
        found.append(evaluated(built, "ali"))
        assert "warning: MLflow" in done.stdout  # nobody has trained it
    for name, one in found[0].items():
        assert one["mean"] == pytest.approx(found[1][name]["mean"], rel=1e-10, abs=1e-12), name
    assert {"fid_classifier", "kid_classifier", "precision_classifier", "reconstruction_error"} <= found[0].keys()
    protocol = evaluated(built, "ali", "protocol.json")
    assert (protocol["samples"], protocol["seeds"], protocol["split"], protocol["real_images"]) == (300, 2, "test", 297)
    extractor = protocol["extractors"]["classifier"]
    assert len(extractor["sha256"]) == 64
    assert extractor["test_accuracy"] > 0.5
    pictures = built.folder / "evaluations" / "tiny" / "ali" / "pictures"
    assert sorted(path.name for path in pictures.iterdir()) == ["neighbours.png", "reconstructions.png"]
    assert all(np.asarray(Image.open(path).convert("L")).std() > 1 for path in pictures.iterdir())


def test_the_comparison_ranks_what_was_evaluated(built: Workplace) -> None:
    write(built, REFERENCE)
    for run in ("ali", "dcgan"):
        (built.folder / "models" / "tiny" / run / "curves").mkdir(exist_ok=True)
        (built.folder / "models" / "tiny" / run / "curves" / "fid_classifier.csv").write_text(
            "step,fid_classifier\n1,9.0\n2,5.0\n"
        )
        assert built.here("evaluate", run).returncode == 0
    done = built.here("compare", "tiny")
    assert done.returncode == 0, done.stderr
    out = built.folder / "comparisons" / "tiny"
    ranking = (out / "ranking.csv").read_text().split()[1:]
    values = [float(line.split(",")[1]) for line in ranking]
    assert values == sorted(values)
    assert {line.split(",")[0] for line in ranking} == {"ali", "dcgan"}
    means = json.loads((out / "metrics.json").read_text())
    assert means["dcgan"]["fid_classifier"] == evaluated(built, "dcgan")["fid_classifier"]["mean"]
    assert "reconstruction_error" in means["ali"]
    assert "reconstruction_error" not in means["dcgan"]
    check_what_is_refused(built)
    page = (out / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert 'src="http' not in page
    assert "over 2 draws of 300 samples of the best checkpoint, against the 297 images of the test split" in page
    assert "memorisation look at 297 of each, KID at 50 subsets of 297" in page
    table = (out / "table.md").read_text().splitlines()
    assert len(table) == 5
    assert table[-1].replace(" ", "").startswith("|200validationimages|real|")
    assert len({len(line) for line in table}) == 1, "columns are aligned"


def check_what_is_refused(built: Workplace) -> None:
    """One run is evaluated otherwise, damaged, or not at all: no comparison, and the old one stays."""
    home = built.folder / "evaluations" / "tiny" / "dcgan"
    protocol, metrics = (home / "protocol.json").read_text(), (home / "metrics.json").read_text()
    for name, text, said in (
        ("protocol.json", protocol.replace('"samples": 300', '"samples": 301'), "evaluated otherwise than ali"),
        (
            "protocol.json",
            protocol.replace('"weights_sha256"', '"weights"'),
            "lacks weights_sha256; run dvc repro -s -f",
        ),
        ("metrics.json", '{"fid_classifier": {"mean": Infinity, "sd": 0.0}}', "metrics.json: damaged; run dvc repro"),
        ("metrics.json", '{"fid_classifier": 3.0}', "metrics.json: damaged; run dvc repro"),
        ("metrics.json", "{}", "metrics.json: damaged; run dvc repro"),
        ("metrics.json", metrics[: len(metrics) // 2], "metrics.json: damaged; run dvc repro -s -f evaluate@dcgan"),
        ("metrics.json", None, "metrics.json: missing; run dvc repro evaluate@dcgan"),
    ):
        (home / name).unlink() if text is None else (home / name).write_text(text)
        assert said in built.refused("compare", "tiny")
        (home / "protocol.json").write_text(protocol)
        (home / "metrics.json").write_text(metrics)
    models = built.folder / "models" / "tiny"
    weights, curve = models / "dcgan" / "weights.safetensors", models / "dcgan" / "curves" / "fid_classifier.csv"
    for path, said in (
        (weights, "of other weights than models/tiny/dcgan has; run dvc repro evaluate@dcgan"),
        (curve, "fid_classifier.csv: damaged; run dvc repro -s -f train@dcgan"),
    ):
        sound = path.read_bytes()
        path.write_bytes(sound[:-1] + b"?" if path == weights else b"")
        assert said in built.refused("compare", "tiny")
        path.write_bytes(sound)
    assert (built.folder / "comparisons" / "tiny" / "index.html").exists()


def test_few_labels_on_untrained_features(built: Workplace) -> None:
    write(built, REFERENCE)
    done = built.here("svm", "ali")
    assert done.returncode == 0, done.stderr
    out = built.folder / "evaluations" / "tiny" / "svm" / "ali"
    metrics = json.loads((out / "metrics.json").read_text())
    kinds = [
        f"{what}_error_percent_{rule}_few_reduced"
        for what in ("svm", "knn")
        for rule in ("class_balanced", "at_random")
    ]
    assert sorted(metrics) == sorted(kinds)
    assert all(0 < one["mean"] < 90 for one in metrics.values()), "random features of digits still tell something"
    first = json.loads((out / "protocol.json").read_text())[0]
    assert (first["pool_rows"], first["validation_rows"], first["test_rows"]) == (1300, 200, 297)
    assert first["dimension"] == 4 * 4 * 16 + 32 + 32 + 4  # width 2: the last three hidden layers, and z
    assert "REDUCED protocol 'few'" in (out / "report.md").read_text()
    assert "|ALI+L2-SVM|svhn|19.14|0.50|" in (out / "report.md").read_text().replace(" ", "")
    write(built, REFERENCE, FEW | {"name": "half", "labelled": 1000, "validation": 1000})
    assert "protocol 'half' needs 1000: give more, or give params a protocol of its own" in built.refused("svm", "ali")
    write(built, REFERENCE, FEW | {"name": "full"})
    assert "svm.ali.protocol.name: full; one of other sizes needs a name of its own" in built.refused("svm", "ali")
    assert json.loads((out / "metrics.json").read_text()) == metrics


def test_a_model_of_other_data_is_refused(built: Workplace) -> None:
    path = built.folder / "models" / "tiny" / "dcgan" / "model.json"
    was = path.read_text()
    path.write_text(was.replace(json.loads(was)["dataset"]["digest"], "f" * 64))
    before = evaluated(built, "dcgan") if (built.folder / "evaluations" / "tiny" / "dcgan").exists() else None
    assert "dcgan: of different data (prepared data " in built.refused("evaluate", "dcgan")
    for edited, said in (
        (was.replace('"run": "dcgan"', '"run": "ali"'), "model.json: the model of run 'ali'; run dvc repro -s -f"),
        (was.replace('"attempt"', '"attmpt"'), "model.json.attempt: missing; Names the MLflow run.; run dvc repro"),
    ):
        path.write_text(edited)
        assert said in built.refused("evaluate", "dcgan")
    path.write_text(was)
    if before is not None:
        assert evaluated(built, "dcgan") == before


def test_a_diverged_model_gets_no_number(built: Workplace) -> None:
    untrained(built.folder, "dcgan")
    model = export.load(built.folder / "models" / "tiny" / "dcgan")
    described = export.describe(built.folder / "models" / "tiny" / "dcgan")
    for _, param in model.named_parameters():
        param.data.fill_(torch.nan)
    notes = {key: described[key] for key in ("dataset", "step", "averaged", "attempt", "run")}
    settings, image = small("dcgan", IMAGES)
    export.save(built.folder / "models" / "tiny" / "dcgan", model, "dcgan", settings, image, **notes)
    shutil.rmtree(built.folder / "evaluations" / "tiny" / "dcgan", ignore_errors=True)
    assert "models/tiny/dcgan: images: some values are not finite" in built.refused("evaluate", "dcgan")
    assert not (built.folder / "evaluations" / "tiny" / "dcgan").exists()
    untrained(built.folder, "dcgan")


def test_an_encoder_that_diverged_gets_no_number(built: Workplace) -> None:
    folder = built.folder / "models" / "tiny" / "ali"
    weights = load_file(folder / "weights.safetensors")
    for name, value in weights.items():
        if name.startswith("encoder") and value.is_floating_point():
            value.fill_(torch.nan)
    save_file(weights, folder / "weights.safetensors")
    said = built.refused("evaluate", "ali")
    untrained(built.folder, "ali")
    assert "models/tiny/ali: reconstruction_error is not finite; the model has diverged" in said


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
    assert "reference.digits.classifier_steps: 0; a classifier needs some" in built.refused("reference", "digits")
    write(built, REFERENCE)
    assert "reference.digts: unknown; did you mean digits?" in built.refused("reference", "digts")
    assert "no run is of group 'nowhere'; known: tiny" in built.refused("compare", "nowhere")
    assert (built.folder / "data" / "reference" / "digits" / "classifier" / "reference.json").exists()
