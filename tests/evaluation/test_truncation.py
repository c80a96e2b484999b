"""FID against Inception score as the prior is truncated, of a family that draws its class well near the middle only."""

import math
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from torch import Tensor, nn

from gen.data.dataset import Dataset
from gen.evaluation.reference import open_reference, write_reference
from gen.evaluation.sampling import Sampler
from gen.evaluation.truncation import THRESHOLDS, trades
from gen.extractors.classifier import train_classifier
from gen.family import Condition, Noise
from gen.figures.truncation import truncation


class Blurring(nn.Module):
    """The mean image of the class, with as much noise over it as z is large."""

    conditions_on: ClassVar = ("labels",)

    def __init__(self, means: Tensor) -> None:
        super().__init__()
        self.means = means

    def updates(self) -> list[Any]:
        return []

    def truncated_prior(self, noise: Noise, threshold: float | None) -> Tensor:
        reach = math.inf if threshold is None else threshold
        return noise.normal(256).clamp(-reach, reach)

    def decode_given(self, z: Tensor, condition: Condition) -> Tensor:
        assert condition.labels is not None
        return (self.means[condition.labels] + z.reshape(-1, 1, 16, 16)).clamp(-1, 1)

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return self.decode_given(self.truncated_prior(noise, None), condition)


def test_classes_are_surer_the_more_is_cut_away(datasets: dict[str, Dataset], tmp_path: Path) -> None:
    digits = datasets["digits"]
    classifier = train_classifier(digits, None, steps=60)
    safetensors.torch.save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    write_reference(tmp_path, extractor="classifier", dataset=digits, resolution=None, notes={}, move=lambda rows: None)
    reference = open_reference(tmp_path)
    rows = digits.read("train")
    images = torch.tensor(rows.images).float() / 127.5 - 1
    means = torch.stack([images[torch.tensor(rows.labels) == label].mean(dim=0) for label in range(10)])
    family: Any = Blurring(means)
    found = list(trades(Sampler(family, digits, None), reference, 200))
    assert [one.threshold for one in found] == [*THRESHOLDS, None]
    assert found[0].inception_score > found[-1].inception_score
    assert truncation(found, "classifier").startswith(b"\x89PNG")
    assert not list(trades(Sampler(family, digits, None), reference, 50)), "too few for a score"
