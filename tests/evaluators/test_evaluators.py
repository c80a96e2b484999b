"""Evaluators of a model's abilities, on models whose numbers are known."""

from collections.abc import Sequence
from math import log
from typing import Any, ClassVar

import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from gen.abilities import Estimate
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.evaluation.real_images import images as real_images
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Sampler
from gen.evaluators import (
    Subject,
    active_units,
    asked_class,
    importance_weighted,
    independent_pixels,
    likelihood,
    linear_probe,
    mixture,
    number_of,
    numbers,
    of_model,
)
from gen.extractors import ClassifierExtractor, Extracted
from gen.extractors.classifier import Classifier
from gen.family import Batch, Condition, Noise, Update
from gen.losses.levels import Binarisation, to_levels

SAMPLES = 600


class Plain(nn.Module):
    """A family that can do nothing."""

    def updates(self) -> Sequence[Update]:
        return []


class Obedient(Plain):
    """It draws what it is told, as the value of every pixel, but for each third sample."""

    conditions_on: ClassVar = ("labels",)

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        assert condition.labels is not None
        told = condition.labels.clone()
        rows = torch.arange(noise.total)[noise.take]
        told[rows % 3 == 0] = (told[rows % 3 == 0] + 1) % 10
        return (told / 10)[:, None, None, None].expand(-1, 1, 16, 16)


class Certain(Plain):
    """Its likelihood of an image is exp(label): known of each row."""

    density: ClassVar = "exact"

    def log_likelihood(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.labels.double()


def subject(family: Any, digits: Dataset, **others: Any) -> Subject:
    held_out = Batch(torch.zeros(400, 1, 16, 16), torch.arange(400) % 10)
    values = {"references": [], "held_out": held_out, "samples": SAMPLES} | others
    return Subject(family, Sampler(family, digits, None), digits, **values)


def test_the_share_of_samples_that_are_of_the_asked_class(
    datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    extract = ClassifierExtractor(Classifier(datasets["digits"].shape, 10))

    def classify(self: Any, images: Tensor) -> Extracted:
        label = (images[:, 0, 0, 0] * 10).round().long()
        return Extracted(images.flatten(1), nn.functional.one_hot(label, 10).float())

    monkeypatch.setattr(ClassifierExtractor, "forward", classify)
    described = {"extractor": "classifier", "test_accuracy": 0.97}
    references = [Reference(tmp_path, described, extract, {})]
    found = asked_class.of_model(subject(Obedient(), datasets["digits"], references=references), 0)
    assert found == {"asked_class_classifier": pytest.approx(2 / 3)}
    assert asked_class.of_data(datasets["digits"], references, SAMPLES)["asked_class_classifier"].mean == 0.97
    assert asked_class.of_model(subject(Plain(), datasets["digits"], references=references), 0) == {}


def test_conditions_come_from_the_test_split_and_differ(datasets: dict[str, Dataset]) -> None:
    sampler = Sampler(Obedient(), datasets["digits"], None)
    told = torch.cat([torch.as_tensor(sampler.condition(rows).labels) for rows in (slice(0, 250), slice(250, 297))])  # type: ignore[union-attr]
    held = torch.as_tensor(datasets["digits"].read("test").labels.copy())
    assert torch.equal(told.sort().values, held.sort().values), "each row of the split once, as many as it has"


def test_nats_are_means_over_images_and_bits_those_of_a_value(datasets: dict[str, Dataset]) -> None:
    found = likelihood.of_model(subject(Certain(), datasets["digits"]), 0)
    assert found == {"nats_exact": pytest.approx(-4.5), "bits_exact": pytest.approx(-4.5 / 256 / log(2))}


class Roughly(Certain):
    """Its log Z is estimated as 2, with an error of 1."""

    density: ClassVar = "estimate"

    def __init__(self, max_error: float) -> None:
        super().__init__()
        self.max_error = max_error

    def log_unnormalised(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.labels.double()

    def log_partition(self, noise: Noise) -> Estimate:
        return Estimate(torch.tensor(2.0), torch.tensor(1.0))


@pytest.mark.parametrize("max_error", [0.5, 1.5])
def test_an_estimate_has_an_error_and_says_when_it_is_large(
    max_error: float, datasets: dict[str, Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    found = likelihood.of_model(subject(Roughly(max_error), datasets["digits"]), 0)
    assert found == {
        "nats_estimate": pytest.approx(-2.5),
        "bits_estimate": pytest.approx(-2.5 / 256 / log(2)),
        "nats_estimate_error": 1.0,
    }
    warned = "warning: log Z has an error of 1 nats, more than model.max_error says; raise model.temperatures"
    assert capsys.readouterr().out == (f"{warned} or model.chains\n" if max_error < 1 else "")


def test_a_model_is_measured_by_what_it_can_do_alone(datasets: dict[str, Dataset]) -> None:
    assert of_model(subject(Plain(), datasets["digits"]), 0) == {}
    assert mixture.of_model(subject(Obedient(), datasets["digits"]), 0) == {}, "digits are no mixture"


def test_a_number_is_known_by_its_longest_name() -> None:
    assert number_of("fid_inception_bicubic") == "fid"
    assert number_of("kid_subset_sd_classifier") == "kid_subset_sd"
    assert number_of("nats_bound") == "nats_bound"
    assert number_of("best/step") is None
    assert list(numbers())[:2] == ["mode_variation", "modes_covered"], "what ranks mixtures comes first"


def test_a_number_that_its_file_does_not_explain_is_refused(
    datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "of_model", lambda subject, seed: {"nats_exact": 1.0, "bits_exakt": 1.0})
    line = (
        "^gen/evaluators/likelihood.py: NUMBERS does not say what bits_exakt means, only nats_exact, .*; add it there$"
    )
    with pytest.raises(InputError, match=line):
        of_model(subject(Plain(), datasets["digits"]), 0)


class Encoding(Plain):
    """Three dimensions: of the label, of almost nothing, of nothing."""

    def prior(self, noise: Noise) -> Tensor:
        return noise.normal(3)

    def encode(self, images: Tensor) -> Tensor:
        value = images[:, 0, 0, 0]
        return torch.stack([value, 0.05 * value, torch.zeros_like(value)], dim=1)

    def decode(self, z: Tensor) -> Tensor:
        return z[:, :1, None, None].expand(-1, 1, 16, 16)


def test_a_dimension_is_active_when_images_move_it(datasets: dict[str, Dataset]) -> None:
    images = Noise("images", rows=400).normal(1, 1, 1).expand(-1, 1, 16, 16)
    held_out = Batch(images, torch.zeros(400, dtype=torch.int64))
    assert active_units.of_weights(subject(Encoding(), datasets["digits"], held_out=held_out)) == {"active_units": 1}
    assert active_units.of_weights(subject(Plain(), datasets["digits"])) == {}


class Dithered(Certain):
    """Its pixels are binary: black or white as a threshold says, or drawn."""

    levels = 2

    def __init__(self, binarisation: Binarisation) -> None:
        super().__init__()
        self.binarisation: Binarisation = binarisation

    def to_levels(self, images: Tensor, noise: Noise) -> Tensor:
        return to_levels(images, 2, self.binarisation, noise)


@pytest.mark.parametrize("binarisation", ["threshold", "stochastic"])
def test_the_likelihood_of_independent_pixels_is_that_of_their_frequencies(
    binarisation: Binarisation, datasets: dict[str, Dataset]
) -> None:
    digits = datasets["digits"]
    train, test = (torch.cat(list(real_images(digits, split, None))).double() for split in ("train", "test"))
    held_out = Batch(test.float(), torch.zeros(len(test), dtype=torch.int64))
    found = independent_pixels.of_model(subject(Dithered(binarisation), digits, held_out=held_out), 0)
    white, seen = (((one + 1) / 2) if binarisation == "stochastic" else (one >= 0).double() for one in (train, test))
    p = (white.sum(dim=0) + 1) / (len(train) + 2)
    by_hand = -float((seen * p.log() + (1 - seen) * (1 - p).log()).flatten(1).sum(dim=1).mean())
    assert found["nats_independent_pixels"] == pytest.approx(by_hand, rel=1e-6 if binarisation == "threshold" else 0.01)
    assert found["bits_independent_pixels"] == pytest.approx(found["nats_independent_pixels"] / 256 / log(2))
    assert independent_pixels.of_model(subject(Certain(), digits), 0) == {}, "of real numbers"


class Bright(Certain):
    """It finds bright images likely."""

    def log_likelihood(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.images.double().flatten(1).sum(dim=1)


def test_likelihoods_of_several_kinds_of_images() -> None:
    images = Noise("images", rows=5).uniform(1, 16, 16, low=-1.0)
    found = likelihood.of_several_kinds(Bright(), images)
    assert list(found) == ["test images", "inverted", "mirrored", "strokes"]
    torch.testing.assert_close(found["inverted"], -found["test images"])
    torch.testing.assert_close(found["mirrored"], found["test images"])
    white = (found["strokes"] / 256 + 1) / 2
    assert bool(((white > 0.03) & (white < 0.5)).all()), "white strokes on black"
    with pytest.raises(
        InputError, match=r"^log p\(x\) of an image is not finite \(test images\); the model has diverged"
    ):
        likelihood.of_several_kinds(Bright(), images.log())


class Weighted(Plain):
    """The mean of its weights is p(x): 1 and 3 in turn, so 2, over every even number of draws."""

    def log_weights(self, batch: Batch, noise: Noise, draws: int) -> Tensor:
        return torch.tensor([1.0, 3.0]).log().repeat(draws // 2)[:, None].expand(-1, len(batch.images))


def test_weights_are_averaged_before_the_logarithm(datasets: dict[str, Dataset]) -> None:
    found = importance_weighted.of_model(subject(Weighted(), datasets["digits"]), 0)
    assert found == {"nats_bound_importance_weighted": pytest.approx(-log(2))}


class Seeing(Plain):
    """Its features are pixels, or tell the classes no better than chance."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :1] if self.blind else images.flatten(1)


def test_a_linear_probe_of_pixels_is_as_good_as_scikit_learns(datasets: dict[str, Dataset]) -> None:
    digits = datasets["digits"]

    def rows(split: str) -> tuple[Tensor, Tensor]:
        found = digits.read(split)
        images = torch.cat(list(real_images(digits, split, None)))
        return images, torch.tensor(found.labels)

    test, labels = rows("test")
    held_out = Batch(test, labels)
    found = linear_probe.of_weights(subject(Seeing(blind=False), digits, held_out=held_out))["linear_probe_accuracy"]
    train, known = rows("train")
    theirs = make_pipeline(StandardScaler(), LinearSVC(C=1e-3)).fit(train.flatten(1), known)
    assert found == pytest.approx(theirs.score(test.flatten(1), labels), abs=0.03)
    assert found > 0.85
    blind = linear_probe.of_weights(subject(Seeing(blind=True), digits, held_out=held_out))["linear_probe_accuracy"]
    assert blind < 0.25
    assert linear_probe.of_weights(subject(Plain(), digits, held_out=held_out)) == {}
