"""Numbers of families that translate, on ones whose translations are known."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Sampler
from gen.evaluators import Subject, cycle, translation, untranslated
from gen.extractors import ClassifierExtractor, Extracted
from gen.extractors.classifier import Classifier
from gen.family import Batch, Condition, Noise
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments
from tests.evaluators.test_evaluators import Plain


class Shifting(Plain):
    """Its translations are brighter by 0.5, and back again by 0.25 more: never what was given."""

    conditions_on: ClassVar = ("others.input",)
    streams: ClassVar = {"input": "input"}

    def translate(self, images: Tensor) -> Tensor:
        return images + 0.5

    def translate_back(self, images: Tensor) -> Tensor:
        return images + 0.25

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return self.translate(condition.extras["input"])


class Inverting(Plain):
    """What it is given inverted, which is the target."""

    conditions_on: ClassVar = ("extras.input",)

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return -condition.extras["input"]


def images_of(dataset: Dataset, split: str) -> Tensor:
    return torch.from_numpy(dataset.read(split).images) / 127.5 - 1


def brightened(images: Tensor) -> Tensor:
    """1 where the brightest pixel is brighter than any of an image can be, 0 elsewhere."""
    return (images.flatten(1).amax(dim=1) > 1.2).long()


@pytest.fixture
def subject_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The subject of a family and its data set, judged by a classifier that looks at the brightest pixel."""

    def classify(self: Any, images: Tensor) -> Extracted:
        return Extracted(images[:, 0, 4:8, 4:8].flatten(1), nn.functional.one_hot(brightened(images), 2).float())

    monkeypatch.setattr(ClassifierExtractor, "forward", classify)

    def made(family: Any, dataset: Dataset, samples: int) -> Subject:
        extract = ClassifierExtractor(Classifier(dataset.shape, 2))
        seen = extract(images_of(dataset, "test")).features
        described = {"extractor": "classifier", "test_accuracy": 0.97}
        reference = Reference(tmp_path, described, extract, {"test": moments(gather(seen))})
        held_out = Batch(torch.zeros(2, 1, 16, 16), torch.zeros(2, dtype=torch.int64))
        return Subject(family, Sampler(family, dataset, None), dataset, [reference], held_out, samples)

    return made


def test_how_far_both_translations_lead(datasets: dict[str, Dataset], subject_of: Any) -> None:
    unpaired = datasets["digits_unpaired"]
    subject = subject_of(Shifting(), unpaired, 300)
    brightest = images_of(unpaired, "test.input").flatten(1).amax(dim=1)
    assert (brightest > 0.8).all()
    assert cycle.of_weights(subject) == {
        "cycle_l1": pytest.approx(0.75),
        "target_cycle_l1": pytest.approx(0.75),
        "taken_for_target_classifier": 1.0,
    }
    assert cycle.of_data(unpaired, subject.references, 300)["taken_for_target_classifier"].mean == 0.97
    assert cycle.of_data(datasets["digits"], subject.references, 300) == {}
    assert cycle.of_weights(subject_of(Inverting(), datasets["digits"], 300)) == {}


def test_the_distance_of_what_is_given_as_it_is(datasets: dict[str, Dataset], subject_of: Any) -> None:
    unpaired = datasets["digits_unpaired"]
    subject = subject_of(Shifting(), unpaired, unpaired.rows["test.input"])
    seen = [images_of(unpaired, split)[:, 0, 4:8, 4:8].flatten(1) for split in ("test", "test.input")]
    distance, _ = frechet_distance(*(moments(gather(one)) for one in seen))
    assert untranslated.of_weights(subject) == {"input_fid_classifier": pytest.approx(distance, rel=1e-4)}
    assert untranslated.of_weights(subject_of(Plain(), unpaired, 20)) == {}


def test_the_class_of_what_is_translated(datasets: dict[str, Dataset], subject_of: Any) -> None:
    digits = datasets["digits"]
    found = translation.of_model(subject_of(Inverting(), digits, digits.rows["test"]), 0)
    labels = torch.from_numpy(digits.read("test").labels.copy())
    assert found["target_l1"] == pytest.approx(0, abs=1e-6)
    assert found["translated_class_classifier"] == pytest.approx(float((labels == 0).float().mean()))
    assert found["input_class_classifier"] == found["translated_class_classifier"], "both are taken for class 0"
