"""How far a run has come, measured at some of its checkpoints: the one with the smallest score is the best.

A score looks at the validation split alone, with noise of its own, so the numbers reported in the end are of images
that chose nothing. It is a function of the weights: a run that is resumed finds the same.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Conditional, HeldOutLoss
from gen.conditions import told
from gen.data.dataset import Mixture
from gen.evaluation.reference import Reference
from gen.extractors import AT_ONCE
from gen.family import Batch, Noise
from gen.metrics import sliced_wasserstein
from gen.metrics.frechet import frechet_distance
from gen.metrics.modes import coverage
from gen.metrics.moments import Moments, Part, gather, merge, moments
from gen.metrics.neighbours import spans
from gen.training.workers import SINGLE_PROCESS, Workers

if TYPE_CHECKING:
    from gen.training.loop import Loop

SPLIT = "validation"


@runtime_checkable
class Score(Protocol):
    """Smaller is better."""

    digest: str
    """Of all that a value depends on besides the weights and the data; values of another digest are not compared."""
    every: int
    """Of the checkpoints, those after a multiple of so many steps are scored, and the last."""

    def __call__(self, loop: "Loop") -> Mapping[str, float]:
        """Numbers by name, on the first worker; the first chooses. None where there are too few validation rows.

        Every worker calls it.
        """
        ...


def improves(value: float, best: float | None) -> bool:
    """Whether a checkpoint of this score is the best so far; of equal ones the last is: a score may have a plateau."""
    return best is None or value <= best


def points_score(drawn: Float[Tensor, "n d"], real: Float[Tensor, "k n"], mixture: Mixture | None) -> dict[str, float]:
    """Numbers of points by name, the first of which chooses: the modes of a mixture, the sliced Wasserstein distance.

    Args:
        drawn: the points; where some are not finite, only the distance is taken.
        real: the sorted projections of as many real points (gen/metrics/sliced_wasserstein.py).
        mixture: what the real points are drawn from, in the same units; None for anything else.
    """
    distance = {"sliced_wasserstein": sliced_wasserstein.distance(real, sliced_wasserstein.projections(drawn))}
    if mixture is None or not bool(drawn.isfinite().all()):
        return distance
    return coverage(drawn.float().cpu(), *mixture) | distance


def frechet_score(extractor: str, real: Moments, drawn: Moments) -> dict[str, float]:
    """The Frechet distance by the extractor's name, and whether a covariance is singular, 1 or 0."""
    found = frechet_distance(real, drawn)
    return {f"fid_{extractor}": found.distance, f"singular_covariance_{extractor}": float(found.singular)}


class Coordinates:
    """Samples in their own coordinates: for points, and when nothing better is at hand.

    The sliced Wasserstein distance, but of a mixture how often samples are of each mode, or of none: where modes are
    far apart the distance is ruled by how many samples each has, and hardly sees how sharp they are. Until a sample is
    of a mode, that number stays the same.
    """

    def __init__(self, samples: int = 512, every: int = 1) -> None:
        self.samples = samples
        self.every = every
        self.digest = f"coordinates/{samples}"
        self.real: Tensor | None = None

    def __call__(self, loop: "Loop") -> Mapping[str, float]:
        """Of as many samples as there are validation rows, at most `samples`; the first worker does it alone."""
        rows = min(self.samples, loop.dataset.rows.get(SPLIT, 0))
        if rows == 0 or not loop.workers.is_rank_zero:
            return {}
        if self.real is None:
            self.real = sliced_wasserstein.projections(loop.batches(SPLIT, rows, alone=True)[0].images.flatten(1))
        drawn = torch.cat([*samples_to_score(loop, rows)]).flatten(1)
        return points_score(drawn, self.real, loop.dataset.mixture)


class OwnLoss:
    """The family's own loss on the validation split (gen.abilities.HeldOutLoss), of at most so many images."""

    def __init__(self, images: int, every: int = 1) -> None:
        self.images = images
        self.every = every
        self.digest = f"own loss/{images}"

    def __call__(self, loop: "Loop") -> Mapping[str, float]:
        """The first worker computes it alone."""
        rows = min(self.images, loop.dataset.rows.get(SPLIT, 0))
        if rows == 0 or not loop.workers.is_rank_zero:
            return {}
        assert isinstance(loop.family, HeldOutLoss)
        noise = partial(Noise, loop.run.seed, "score", device=loop.device, dtype=loop.dtype)
        with loop.evaluating():
            parts = loop.held_out_parts(SPLIT, rows, AT_ONCE)
            return {loop.family.held_out: own_loss(loop.family, parts, rows, noise)}


def own_loss(family: HeldOutLoss, parts: Iterable[Batch], rows: int, noise: Callable[..., Noise]) -> float:
    """The mean loss of so many rows, in parts of AT_ONCE; `noise` makes noise of the given `rows` and `take`."""
    found = [
        family.held_out_loss(batch, noise(rows=rows, take=some))
        for some, batch in zip(spans(rows, AT_ONCE), parts, strict=True)
    ]
    return float(torch.cat(found).double().mean())


def score_of(family: type, reference: Reference | None = None, samples: int = 512, every: int = 1) -> Score:
    """What a family's checkpoints are chosen by: its own loss where it has one, else what its samples are worth.

    Args:
        family: the `Model` of its file.
        reference: of the data set, by the extractor that checkpoints are chosen by; None: samples in their own
            coordinates.
        samples: drawn for a score, or images that the loss is of.
        every: steps between two scores.
    """
    if hasattr(family, "held_out_loss"):  # gen.abilities.HeldOutLoss
        return OwnLoss(samples, every)
    if reference is None or reference.name == "coordinates":
        return Coordinates(samples, every)
    return LightFrechet(reference, samples, every)


def samples_to_score(loop: "Loop", rows: int, workers: Workers = SINGLE_PROCESS) -> Iterator[Float[Tensor, "n c h w"]]:
    """This worker's samples of the noise that scores have, at most AT_ONCE at a time.

    A conditional family is told what stands in the validation split.
    """
    at_once = AT_ONCE * workers.world_size
    held_out: Iterable[Batch | None] = repeat(None)
    if isinstance(loop.family, Conditional):
        held_out = loop.held_out_parts(SPLIT, rows, at_once)
    for part, batch in zip(spans(rows, at_once), held_out, strict=False):
        take = slice(part.start + workers.rank, part.stop, workers.world_size)
        if take.start < take.stop:
            condition = batch and told(loop.family, batch.rows(slice(workers.rank, None, workers.world_size)))
            yield loop.sample("score", rows=rows, take=take, condition=condition)


class LightFrechet:
    """Frechet distance of a few samples in an extractor's features. Workers share the samples and merge their moments.

    Its bias depends on the number of samples: it ranks the checkpoints of one run, and is no FID to report. Beside it
    stands whether a covariance is singular, 1 or 0: with no more samples, or validation images, than features it is.
    """

    def __init__(self, reference: Reference, samples: int, every: int = 1) -> None:
        self.reference = reference
        self.samples = samples
        self.every = every
        self.digest = f"{reference.digest}/{samples}"

    def __call__(self, loop: "Loop") -> Mapping[str, float]:
        """Nothing when there are fewer than two validation rows."""
        if SPLIT not in self.reference.moments:
            return {}
        workers = loop.workers
        extract, seen, finite = self.reference.extract.to(loop.device), [], True
        for images in samples_to_score(loop, self.samples, workers):
            finite = finite and bool(images.isfinite().all())
            if finite:  # an extractor refuses others
                seen.append(extract(images.float()).features.cpu())
        if workers.any(not finite, loop.device):
            return {f"fid_{self.reference.name}": math.nan}  # the run has diverged, on all workers alike
        own = gather(torch.cat(seen))
        told = [workers.gather(tensor, loop.device) for tensor in (torch.tensor(own.samples), own.mean, own.scatter)]
        if not workers.is_rank_zero:
            return {}
        parts = [Part(int(count), mean, scatter) for count, mean, scatter in zip(*told, strict=True)]
        return frechet_score(self.reference.name, self.reference.moments[SPLIT], moments(merge(parts)))
