"""Everything that is measured of one finished model: samples by seed, their features, named numbers with their spread.

A number's name ends in its extractor, `fid_classifier`, because numbers of different extractors say different things.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.family import Family, Inference, Noise
from gen.metrics.extractors import AT_ONCE, ClassifierExtractor, Extracted, Extractor, InceptionExtractor
from gen.metrics.frechet import frechet_distance
from gen.metrics.inception_score import inception_score
from gen.metrics.kernel_distance import SUBSET, kernel_distance
from gen.metrics.modes import class_coverage
from gen.metrics.moments import gather, moments
from gen.metrics.neighbours import nearest, spans
from gen.metrics.precision_recall import precision_recall
from gen.metrics.reference import Reference

SPLIT = "test"
"""Real images that finished models are compared with; the validation split has chosen the checkpoint."""


KERNEL_SUBSETS = 50
"""Random subsets of both sides over which the kernel distance is averaged."""
SCORE_SPLITS = 10
"""Parts of the samples over which the Inception score is averaged; fewer of fewer samples."""
SCORE_PART = 100
"""Fewest samples of such a part.

The score of n sure samples of k even classes is about k exp(-(k - 1) / 2n) (Miller 1955, the bias of an entropy): of
ten classes 4% too low at this bound, of parts of a single sample always 1. Fewer samples than a part have no score.
"""


class Measured(NamedTuple):
    """One number and its spread over seeds of sampling."""

    mean: float
    sd: float
    """Of the seeds, with n - 1; 0 for a single one."""


class Summary(NamedTuple):
    """One number of a run, and both of its spreads. They are of different things: draws see one set of weights."""

    mean: float
    """Over trainings, of the means over draws."""
    sd_draws: float
    """Over draws from one training: the root of the mean variance within trainings; 0 for a single draw."""
    sd_trainings: float | None
    """Over trainings with different seeds, of the means over draws, with n - 1; None for a single training."""


def chunks(samples: int) -> list[slice]:
    """The rows of each unit of work, which do not depend on how many workers share them."""
    return list(spans(samples, AT_ONCE))


@torch.inference_mode()
def draw(
    family: Family, seed: int, rows: slice, samples: int, device: torch.device | str = "cpu"
) -> Float[Tensor, "n c h w"]:
    """Some of the `samples` images that a seed stands for; a row depends on the seed and its number alone.

    And on the kind of device, whose random numbers are its own.
    """
    return family.sample(Noise("evaluate", seed, rows=samples, take=rows, device=device))


def measure(said: Extracted, reference: Reference, seed: int) -> tuple[dict[str, float], bool]:
    """Every metric of one draw of samples against the test split, by name.

    Returns:
        The numbers, and whether a covariance was singular: too few samples or images for the Frechet distance to mean
        what it usually does.

    Raises:
        InputError: too few samples, or features that are not finite.
    """
    real = reference.features(SPLIT)
    distance, singular = frechet_distance(reference.moments[SPLIT], moments(gather(said.features)))
    kernel = kernel_distance(real, said.features, subsets=KERNEL_SUBSETS, seed=seed)
    few = counts(reference, len(said.features))["precision_recall_memorisation"]
    pair = precision_recall(real[:few], said.features[:few])
    found = {
        "fid": distance,
        "kid": kernel.mean,
        "kid_subset_sd": kernel.sd,
        "precision": pair.precision,
        "recall": pair.recall,
        "memorised": memorised(said.features, reference),
    }
    if said.logits.shape[1]:
        found |= classes(said.logits, reference)
    return {f"{name}_{reference.name}": value for name, value in found.items()}, singular


def counts(reference: Reference, samples: int) -> dict[str, int]:
    """How many of the samples, and as many real images, some metrics look at; the others look at all.

    And among how many training images the nearest are looked for; and where the extractor names classes, and there are
    samples enough, how many parts of them have an Inception score.
    """
    few = min(len(reference.features(SPLIT)), samples)
    found = {
        "precision_recall_memorisation": few,
        "kernel_subsets": KERNEL_SUBSETS,
        "kernel_subset": min(SUBSET, few),
        "training_images": len(reference.features("train")),
    }
    if isinstance(reference.extract, ClassifierExtractor | InceptionExtractor) and (parts := score_parts(samples)):
        found["inception_score_splits"] = parts
    return found


def score_parts(samples: int) -> int:
    """Over how many parts of the samples the Inception score is averaged; 0 where there are too few for one."""
    return min(SCORE_SPLITS, samples // SCORE_PART)


def classes(logits: Float[Tensor, "n k"], reference: Reference) -> dict[str, float]:
    """What can be said where the extractor names classes; coverage, where they are those of the data set.

    Frequencies are held against those the classifier finds in the test split, which need not be equal.
    """
    parts = score_parts(len(logits))
    found = {"inception_score": inception_score(logits, parts).mean} if parts else {}
    if reference.name == "classifier":
        real = class_logits(reference.features(SPLIT), reference)
        drawn, held = (torch.bincount(x.argmax(dim=1), minlength=x.shape[1]).tolist() for x in (logits, real))
        seen = class_coverage(drawn, reference=held)
        found |= {
            "confidence": float(logits.softmax(dim=1).amax(dim=1).mean()),
            "classes_seen": float(seen.seen),
            "class_variation": seen.variation,
        }
    return found


@torch.inference_mode()
def class_logits(features: Float[Tensor, "n d"], reference: Reference) -> Float[Tensor, "n k"]:
    """What a classifier says of images from their features; of another extractor's, no columns."""
    if not isinstance(reference.extract, ClassifierExtractor):
        return features.new_empty(len(features), 0)
    logits: Tensor = reference.extract.model.head(features)
    return logits


def memorised(samples: Float[Tensor, "n d"], reference: Reference) -> float:
    """The share of samples as near to a training image as the nearest 5% of test images are: of new images, 0.05.

    A model that copies training images in a share c of its samples, and is perfect otherwise, has 0.05 + 0.95 c. In the
    extractor's features, of as many samples as the test split has images, and among the training images whose features
    are kept: the first 50,000 (`counts` says how many). Where more of the test images are training images too, new ones
    have their share.
    """
    few = samples[: len(reference.features(SPLIT))]
    return float((nearest(few, reference.features("train")).distances <= reference.near).double().mean())


@torch.inference_mode()
def inference_errors(family: Inference, images: Float[Tensor, "n c h w"], seed: int) -> dict[str, float]:
    """How much is lost on the way x -> z -> x, per value of an image, and z -> x -> z, per dimension: mean squares.

    The fraction of variance unexplained is the first over what answering each image with the mean of all would lose: 1
    is no better than that. An encoder that says 0 to everything loses 1 on the way z -> x -> z.
    """
    z = family.prior(Noise("round trip", seed, rows=len(images)))
    lost = float((family.decode(family.encode(images)) - images).square().mean())
    variance = float((images - images.mean(dim=0)).square().mean())
    return {
        "reconstruction_error": lost,
        "unexplained_variance": lost / max(variance, torch.finfo(images.dtype).tiny),
        "round_trip_error": float((family.encode(family.decode(z)) - z).square().mean()),
    }


@torch.inference_mode()
def class_kept(family: Inference, images: Float[Tensor, "n c h w"], classifier: Extractor) -> float:
    """The share of images which the classifier still takes for the same class after x -> z -> x."""
    same = 0
    for rows in torch.split(images, AT_ONCE):
        made = family.decode(family.encode(rows))
        before, after = (classifier(each).logits.argmax(dim=1) for each in (rows, made))
        same += int((before == after).sum())
    return same / len(images)


def over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, Measured]:
    """Mean and standard deviation of every name.

    Raises:
        InputError: a number is not finite.
    """
    for name in found[0]:
        if not all(math.isfinite(one[name]) for one in found):
            raise InputError(f"{name} is not finite; the model has diverged")
    return {
        name: Measured(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
        for name in found[0]
        for values in [[one[name] for one in found]]
    }


def over_trainings(found: Sequence[Mapping[str, Measured]]) -> dict[str, Summary]:
    """The numbers of a run from those of its trainings, which all have the same names."""
    return {
        name: Summary(
            statistics.fmean(one.mean for one in values),
            math.sqrt(statistics.fmean(one.sd**2 for one in values)),
            statistics.stdev(one.mean for one in values) if len(values) > 1 else None,
        )
        for name in found[0]
        for values in [[one[name] for one in found]]
    }
