"""What a likelihood is held against: pixels that know nothing of each other, as frequent as in the training split.

    p(x) = prod_i (1 + number of training images whose value i has the level of x_i) / (levels + training images)

A histogram over the levels for each value, of two levels a Bernoulli distribution; the 1 keeps a level that was never
seen from having no probability. Values are rounded as the model's own are, so each model has its own baseline. A model
that is no better has learned nothing of how pixels go together.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from gen.abilities import Discrete
from gen.evaluation.real_images import images
from gen.evaluators import Number, Subject
from gen.evaluators.likelihood import in_bits
from gen.extractors import AT_ONCE
from gen.family import Noise
from gen.metrics.neighbours import spans

NUMBERS = {
    "nats_independent_pixels": Number(
        "", "-log p(x) of a test image in nats if pixels were independent of each other: what a model has to be below."
    ),
    "bits_independent_pixels": Number("", "The same in bits for each of its values.", shown=False),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of a model whose images are of no levels."""
    family, held_out = subject.family, subject.held_out
    if not isinstance(family, Discrete) or family.levels is None:
        return {}
    counts = frequencies(subject, family, family.levels, seed)
    log_p = (counts / counts.sum(dim=1, keepdim=True)).log()
    nats = torch.zeros((), dtype=torch.float64)
    for number, some in enumerate(spans(len(held_out.images), AT_ONCE)):
        rows = held_out.images[some]
        level = family.to_levels(rows, subject.noise("likelihood", seed, number, rows=len(rows)))
        nats -= log_p.gather(1, level.flatten(1).T).sum()
    mean = float(nats / len(held_out.images))
    return {"nats_independent_pixels": mean, "bits_independent_pixels": in_bits(mean, held_out)}


def frequencies(subject: Subject, family: Discrete, levels: int, seed: int) -> Int[Tensor, "values levels"]:
    """How many training images have each level in each value, and one more."""
    size, own = subject.held_out.images.shape[1:], tuple(subject.dataset.shape)
    counts = torch.ones(size.numel(), levels, dtype=torch.int64)
    for shard, part in enumerate(images(subject.dataset, "train", None if own == size else size[-1])):
        for start, some in enumerate(torch.split(part, AT_ONCE)):
            noise = Noise("evaluate", "independent pixels", seed, shard, start, rows=len(some))
            level = family.to_levels(some, noise).flatten(1).T
            counts.scatter_add_(1, level, torch.ones_like(level))
    return counts
