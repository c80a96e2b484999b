"""What is measured of a model where some number does not exist, and what is said of how it was measured."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from gen.data.dataset import Dataset
from gen.evaluation import sampling as evaluation
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Sampler
from gen.evaluators import Subject, classes, memorisation, of_samples, reconstruction
from gen.extractors import ClassifierExtractor, CoordinateExtractor, Extracted
from gen.extractors.classifier import FEATURES, Classifier
from gen.family import Batch, ImageShape, Noise, Update
from gen.metrics.moments import gather, moments


def memorised(features: torch.Tensor, reference: Reference) -> float:
    seen = Extracted(features, features.new_empty(len(features), 0))
    return memorisation.of_samples(seen, reference, 0)["memorised"]


def test_copies_show_in_whatever_share_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of copies among new images: 0.05 + 0.95 / 5."""
    train, test, fresh = torch.randn(3, 2000, 4, generator=torch.Generator().manual_seed(0))
    splits = {"train": train, "test": test}
    monkeypatch.setattr(Reference, "features", lambda reference, split: splits[split])
    reference = Reference(Path(), {}, CoordinateExtractor(), {})
    assert memorised(test, reference) == 0.05, "by construction"
    assert memorised(fresh, reference) == pytest.approx(0.05, abs=0.02)
    some = torch.cat([train[:400], fresh[400:]])
    assert memorised(some, reference) == pytest.approx(0.24, abs=0.02)
    assert memorised(train, reference) == 1


def test_test_images_that_are_training_images_do_not_make_new_samples_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    train, fresh, samples = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    test = torch.cat([train[10:], fresh[:10]])
    splits = {"train": train, "test": test}
    monkeypatch.setattr(Reference, "features", lambda reference, split: splits[split])
    reference = Reference(Path(), {"extractor": "coordinates"}, CoordinateExtractor(), {"test": moments(gather(test))})
    for rows, share in ((test, 0.75), (samples, 0.0), (train, 1.0)):
        found = of_samples(Extracted(rows, rows.new_zeros(40, 0)), reference, 0)
        assert found["memorised_coordinates"] == share


def test_class_frequencies_are_held_against_those_of_real_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the test split's own features nothing varies, however uneven its classes are."""
    torch.manual_seed(0)
    model = Classifier(ImageShape(1, 16, 16), 3)
    train, test = torch.randn(2, 40, FEATURES)
    splits = {"train": train, "test": test}
    monkeypatch.setattr(Reference, "features", lambda reference, split: splits[split])
    described = {"extractor": "classifier"}
    reference = Reference(Path(), described, ClassifierExtractor(model), {"test": moments(gather(test))})
    logits = evaluation.class_logits(test, reference)
    assert torch.equal(logits, model.head(test))
    frequencies = torch.bincount(logits.argmax(1), minlength=3) / 40
    assert frequencies.max() > 0.4, "uneven"
    own = of_samples(Extracted(test, logits), reference, 0)
    assert own["class_variation_classifier"] == 0
    one = classes.of_samples(Extracted(test, torch.eye(3)[:1].expand(40, 3)), reference, 0)
    assert one["class_variation"] == pytest.approx(1 - frequencies[0].item())


def test_how_many_images_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"train": torch.zeros(40, 2), "test": torch.zeros(30, 2)}
    monkeypatch.setattr(Reference, "features", lambda reference, split: splits[split])
    points = Reference(Path(), {"extractor": "coordinates"}, CoordinateExtractor(), {})
    digits = Reference(Path(), {}, ClassifierExtractor(Classifier(ImageShape(1, 16, 16), 3)), {})
    expected = {"precision_recall_memorisation": 30, "kernel_subsets": 50, "kernel_subset": 30, "training_images": 40}
    assert evaluation.counts(points, 35) == expected
    assert evaluation.counts(digits, 35) == expected
    assert evaluation.counts(digits, 5000)["inception_score_splits"] == 10
    assert evaluation.counts(digits, 350)["inception_score_splits"] == 3
    assert evaluation.class_logits(splits["test"], points).shape == (30, 0)


def test_so_few_samples_that_the_inception_score_is_far_too_low_have_none() -> None:
    """At the bound that of ten even classes is within 5% of 10."""
    extract = ClassifierExtractor(Classifier(ImageShape(1, 16, 16), 10))
    reference = Reference(Path(), {"extractor": "inception_bilinear"}, extract, {})
    logits = 40 * torch.eye(10)[torch.randint(10, (1000,), generator=torch.Generator().manual_seed(0))]
    assert classes.of_samples(Extracted(logits, logits), reference, 0)["inception_score"] == pytest.approx(
        10 * math.exp(-9 / 200), rel=0.01
    )
    assert "inception_score" not in classes.of_samples(Extracted(logits[:99], logits[:99]), reference, 0)


class Silly(nn.Module):
    """It encodes all images as 0, and decodes everything to one image."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def updates(self) -> list[Update]:
        return []

    def prior(self, noise: Noise) -> torch.Tensor:
        return noise.normal(5)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 5)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.answer.expand(len(z), 1, 4, 4)


def test_who_answers_with_the_mean_image_explains_nothing(datasets: dict[str, Dataset]) -> None:
    images = torch.rand(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    family, held_out = Silly(images.mean(dim=0)), Batch(images, torch.zeros(500, dtype=torch.int64))
    digits = datasets["digits"]
    subject = Subject(family, Sampler(family, digits, None), digits, references=[], held_out=held_out, samples=0)
    errors = reconstruction.of_model(subject, 0)
    assert errors["unexplained_variance"] == pytest.approx(1)
    assert errors["reconstruction_error"] == pytest.approx(images.var(dim=0, correction=0).mean().item())
    assert errors["round_trip_error"] == pytest.approx(1, abs=0.1), "the variance of the prior"


class Brightness:
    """Tells dark images from bright ones."""

    def __call__(self, images: torch.Tensor) -> Extracted:
        light = images.mean(dim=(1, 2, 3))
        return Extracted(images.flatten(1), torch.stack([-light, light], dim=1))

    def to(self, device: torch.device) -> "Brightness":
        return self


def test_who_answers_with_one_image_keeps_its_class_alone() -> None:
    dark, bright = -torch.ones(450, 1, 4, 4), torch.ones(150, 1, 4, 4)
    images = torch.cat([dark, bright])
    for answer, share in ((dark[0], 0.75), (bright[0], 0.25)):
        assert reconstruction.kept(images, Silly(answer).decode(images), Brightness()) == share
