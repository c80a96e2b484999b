"""Reference statistics, and what is measured against them, on real digits."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from gen.config.params import Reference as ReferenceSettings
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.evaluation.real_images import check_judge, images
from gen.evaluation.reference import Reference, open_reference, write_reference
from gen.evaluators import memorisation, of_samples
from gen.extractors import CoordinateExtractor, Extracted, PixelExtractor
from gen.extractors.classifier import accuracy, train_classifier
from gen.family import ImageShape
from gen.metrics.moments import gather, moments
from pipelines.stages.reference import make_extractor


@pytest.fixture(scope="module")
def folder(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as a classifier of a few steps sees them."""
    made = tmp_path_factory.mktemp("digits") / "classifier"
    made.mkdir()
    digits = datasets["digits"]
    model = train_classifier(digits, 16, steps=100)
    assert accuracy(model, digits, 16) > 0.85
    safetensors.torch.save_file(model.state_dict(), made / "classifier.safetensors")
    write_reference(
        made, extractor="classifier", dataset=digits, resolution=16, notes={"test_accuracy": 0.9}, move=lambda n: None
    )
    return made


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return open_reference(folder)


def memorised(features: torch.Tensor, reference: Reference) -> float:
    seen = Extracted(features, features.new_empty(len(features), 0))
    return memorisation.of_samples(seen, reference, 0)["memorised"]


def test_statistics_are_those_of_the_features(reference: Reference) -> None:
    for split in ("train", "validation", "test"):
        features = reference.features(split)
        assert len(features) == reference.described["rows"][split]
        torch.testing.assert_close(reference.moments[split].mean, features.double().mean(0))
        torch.testing.assert_close(reference.moments[split].covariance, features.double().T.cov())


def test_pieces_change_nothing_and_of_many_images_the_first_are_kept(
    folder: Path, reference: Reference, datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gen.evaluation.reference.PIECE", 100)
    monkeypatch.setattr("gen.evaluation.reference.KEPT", 250)
    shutil.copy(folder / "classifier.safetensors", tmp_path)
    digits = datasets["digits"]
    write_reference(tmp_path, extractor="classifier", dataset=digits, resolution=16, notes={}, move=lambda n: None)
    made = open_reference(tmp_path)
    torch.testing.assert_close(made.features("train"), reference.features("train")[:250], rtol=1e-5, atol=1e-5)
    for split, found in made.moments.items():
        torch.testing.assert_close(found, reference.moments[split], rtol=1e-5, atol=1e-5)


def test_features_do_not_depend_on_how_images_are_batched(reference: Reference, datasets: dict[str, Dataset]) -> None:
    some = next(images(datasets["digits"], "test", 16))[:7]
    alone = torch.cat([reference.extract(one[None]).features for one in some])
    torch.testing.assert_close(reference.extract(some).features, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reference.features("test")[:7], alone, rtol=1e-5, atol=1e-5)


def test_images_are_rounded_to_what_a_picture_file_holds(reference: Reference, datasets: dict[str, Dataset]) -> None:
    some = next(images(datasets["digits"], "test", 16))[:5]
    moved = (some + torch.empty_like(some).uniform_(-0.4, 0.4) / 127.5).clamp(-1, 1)
    assert torch.equal(reference.extract(some).features, reference.extract(moved).features)


def test_the_real_images_measure_best(reference: Reference, datasets: dict[str, Dataset]) -> None:
    """Against the test split: validation images, the same with noise, and one class of them."""
    real = torch.cat(list(images(datasets["digits"], "validation", 16)))
    noisy = (real + 0.5 * torch.randn(real.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    zeros = real[torch.from_numpy(datasets["digits"].read("validation").labels.copy()) == 0]
    found = [of_samples(reference.extract(x), reference, 0) for x in (real, noisy, zeros)]
    distances = [one["fid_classifier"] for one in found]
    assert distances[0] < distances[1]
    assert distances[0] < distances[2]
    assert found[0]["classes_seen_classifier"] == 10
    assert found[2]["classes_seen_classifier"] < 10
    assert found[0]["recall_classifier"] > found[2]["recall_classifier"]
    assert found[0]["precision_classifier"] > found[1]["precision_classifier"]
    assert of_samples(reference.extract(zeros), reference, 0)["singular_covariance_classifier"], (
        "fewer samples than features: flagged"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"test": 3},
            "split 'test' has 3 images, at least 4 are needed to judge models; raise datasets.digits.test",
        ),
        (
            {"validation": 1},
            "split 'validation' has 1 images, .*; raise datasets.digits.validation, or give",
        ),
        ({"train": 1}, "'train' .* lower datasets.digits.test and datasets.digits.validation, or give more images"),
        ({"classes": ()}, "extractors: a classifier needs two classes, digits has none; use inception_bilinear or pix"),
        ({"classes": ("0",)}, "extractors: a classifier needs two classes, digits has 1; use inception_bilinear or pi"),
    ],
)
def test_what_no_model_can_be_judged_by(datasets: dict[str, Dataset], changes: dict[str, Any], line: str) -> None:
    digits = datasets["digits"]
    check_judge(digits, ["classifier"])
    if "classes" in changes:
        digits = replace(digits, parsed=digits.parsed.model_copy(update=changes))
    else:
        splits = dict(digits.parsed.splits)
        for split, rows in changes.items():
            splits[split] = (splits[split][0].model_copy(update={"rows": rows}),)
        digits = replace(digits, parsed=digits.parsed.model_copy(update={"splits": splits}))
    with pytest.raises(InputError, match=line):
        check_judge(digits, ["classifier"])


def test_pictures_without_labels_are_judged_by_their_pixels(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a download, too. An extractor that cannot be had names them."""
    monkeypatch.chdir(tmp_path)
    mirror, weights = tmp_path / "mirror", "inception/pt_inception-2015-12-05-6726825d.pth"
    (mirror / weights).parent.mkdir(parents=True)
    (mirror / weights).write_bytes(b"not weights")
    (mirror / "SHA256SUMS").write_text(f"{'0' * 64}  {weights}\n")
    parsed = datasets["digits"].parsed.model_copy(update={"classes": ()})
    unlabelled = replace(datasets["digits"], parsed=parsed)
    section = ReferenceSettings(
        extractors=("pixels",),
        resolution=16,
        classifier_steps=9,
        samples=9,
        seeds=1,
        score_samples=9,
        score_every=1,
        workers=1,
    )
    with pytest.raises(InputError, match=r"^reference\.digits\.extractors: [^\n]*, or use pixels$"):
        make_extractor("inception_bilinear", section, unlabelled, tmp_path, str(mirror))
    check_judge(unlabelled, ["pixels"])
    made = tmp_path / "pixels"
    made.mkdir()
    notes = make_extractor("pixels", section, unlabelled, made, None)
    write_reference(made, extractor="pixels", dataset=unlabelled, resolution=16, notes=notes, move=lambda n: None)
    reference = open_reference(made)
    assert reference.features("test").shape == (297, 64)
    real = torch.cat(list(images(unlabelled, "validation", 16)))
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    noisy = [(real + strength * noise).clamp(-1, 1) for strength in (0, 0.25, 0.5)]
    distances = [of_samples(reference.extract(x), reference, 0)["fid_pixels"] for x in noisy]
    assert distances == sorted(set(distances))


def test_memorised_images_are_found_out(reference: Reference) -> None:
    test = reference.features("test")
    assert memorised(reference.features("train")[:200], reference) == 1
    assert memorised(test, reference) == pytest.approx(0.05, abs=1 / len(test))


@pytest.mark.parametrize("name", ["classifier.safetensors", "features.safetensors", "statistics.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_named(folder: Path, name: str, damage: str, tmp_path: Path) -> None:
    copy = tmp_path / "digits" / "classifier"
    shutil.copytree(folder, copy)
    content = (copy / name).read_bytes()
    if damage == "gone":
        (copy / name).unlink()
    else:
        cut = content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1])
        (copy / name).write_bytes(cut)
    with pytest.raises(InputError, match=rf"{name}: missing or damaged; run dvc repro -s -f reference@digits$"):
        open_reference(copy).features("test")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"format": 1}', "[" * 100_000, None])
def test_a_damaged_description_is_named(folder: Path, text: str | None, tmp_path: Path) -> None:
    copy = tmp_path / "digits" / "classifier"
    shutil.copytree(folder, copy)
    (copy / "reference.json").unlink()
    (copy / "reference.json").mkdir() if text is None else (copy / "reference.json").write_text(text)
    with pytest.raises(
        InputError, match=r"reference\.json\S* (damaged|expected .*|missing; .*); run dvc repro -s -f reference@digits$"
    ):
        open_reference(copy)
    with pytest.raises(InputError, match=r"reference\.json: missing; run dvc repro"):
        open_reference(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, r"reference\.json\.format: "),
        ({"extractor": "classifer"}, r"reference\.json\.extractor: "),
        ({"dataset": None}, r"reference\.json\.dataset: "),
        ({"image": [1, 16]}, r"reference\.json\.image: "),
        ({"image": [1, "16", 16]}, r"reference\.json\.image\.1: "),
        ({"image": [1, -16, 16]}, r"reference\.json\.image\.1: "),
        ({"image": [1, 10**6, 10**6]}, r"classifier\.safetensors: .*"),
        ({"rows": {"test": "297"}}, r"reference\.json\.rows\.test: "),
        ({"rows": {"test": 298}}, r"features\.safetensors: not of split 'test' as "),
        ({"rows": {"more": 2}}, r"statistics\.safetensors: not of split 'more' as "),
        ({"test_accuracy": "0.9"}, r"reference\.json\.test_accuracy: "),
        ({"sha256": {}}, r"statistics\.safetensors: missing or damaged"),
    ],
)
def test_an_edited_description_is_named(folder: Path, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    copy = tmp_path / "digits" / "classifier"
    shutil.copytree(folder, copy)
    describe(copy, changes)
    (copy / "statistics.safetensors").unlink() if changes == {"sha256": {}} else None
    with pytest.raises(InputError, match=rf"^\S*/{message}[^\n]*; run dvc repro -s -f reference@digits$"):
        open_reference(copy).features("test")


@pytest.mark.parametrize("name", ["statistics", "features"])
@pytest.mark.parametrize(
    "change",
    [lambda x: x[:-1], lambda x: x.half(), lambda x: x * torch.nan, lambda x: x.sum(), lambda x: None, lambda x: b""],
    ids=["cut", "half", "nan", "scalar", "gone", "empty"],
)
def test_an_edited_file_that_has_its_sha256_is_named(
    folder: Path, name: str, change: Callable[[torch.Tensor], Any], tmp_path: Path
) -> None:
    copy = tmp_path / "digits" / "classifier"
    shutil.copytree(folder, copy)
    file = copy / f"{name}.safetensors"
    tensors = safetensors.torch.load_file(file)
    key = "test" if name == "features" else "test.covariance"
    tensors[key] = change(tensors[key])
    whole = {key: tensor for key, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
    file.write_bytes(safetensors.torch.save(whole) if tensors[key] != b"" else b"")
    sha256 = json.loads((copy / "reference.json").read_text())["sha256"]
    describe(copy, {"sha256": sha256 | {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}})
    with pytest.raises(
        InputError, match=rf"{file.name}: (missing or|not of split 'test') .*; run dvc repro -s -f reference@"
    ):
        open_reference(copy).features("test")


def describe(folder: Path, changes: dict[str, Any]) -> None:
    message = json.loads((folder / "reference.json").read_text())
    (folder / "reference.json").write_text(json.dumps(message | changes))


def test_what_an_extractor_refuses(reference: Reference) -> None:
    good = torch.zeros(2, 1, 16, 16)
    broken = good.clone()
    broken[1, 0, 3, 3] = float("nan")
    for bad, message in ((good[:, :, :8], "of shape 1x8x16"), (good + 2, r"values up to 2"), (broken, "not finite")):
        with pytest.raises(InputError, match=message):
            reference.extract(bad)
    for extract in (CoordinateExtractor(), PixelExtractor(ImageShape(3, 16, 16))):
        with pytest.raises(InputError, match="of shape 1x16x16"):
            extract(good)


def test_too_few_samples(reference: Reference) -> None:
    few = reference.extract(torch.zeros(1, 1, 16, 16))
    with pytest.raises(InputError, match="1 samples"):
        of_samples(few, reference, 0)
    with pytest.raises(InputError, match="row 0 is not finite"):
        of_samples(Extracted(few.features / 0, few.logits), reference, 0)


def test_a_split_of_no_images(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "digits" / "classifier"
    shutil.copytree(folder, copy)
    message = json.loads((copy / "reference.json").read_text())
    (copy / "reference.json").write_text(json.dumps(message | {"rows": {"train": 1300, "validation": 200, "test": 0}}))
    with pytest.raises(InputError, match="digits: split 'test' has fewer than 2 images"):
        open_reference(copy).features("test")


def test_what_reference_json_says(reference: Reference, folder: Path) -> None:
    message = json.loads((folder / "reference.json").read_text())
    assert message["extractor"] == reference.name == "classifier"
    assert message["rows"] == {"train": 1300, "validation": 200, "test": 297}
    assert message["test_accuracy"] == 0.9
    assert moments(gather(reference.features("test"))).samples == 297
