"""What truncating the prior trades: variety against fidelity (Brock, Donahue & Simonyan 2019, section 3.1)."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from gen.abilities import Truncates
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT, Sampler, chunks, score_parts
from gen.family import Noise
from gen.metrics.frechet import frechet_distance
from gen.metrics.inception_score import inception_score
from gen.metrics.moments import gather, moments

THRESHOLDS = (0.1, 0.3, 0.5, 0.8, 1.2, 2.0)
"""On the entries of z; beside them no threshold."""


class Traded(NamedTuple):
    """Both numbers at one threshold."""

    threshold: float | None
    fid: float
    inception_score: float


@torch.inference_mode()
def trades(sampler: Sampler, reference: Reference, samples: int) -> Iterator[Traded]:
    """At each threshold; nothing of a family that does not truncate, or of samples too few for a score of classes."""
    family, parts = sampler.family, score_parts(samples)
    if not isinstance(family, Truncates) or not parts:
        return
    for threshold in (*THRESHOLDS, None):
        features, logits = [], []
        for rows in chunks(samples):
            condition = sampler.condition(rows)
            assert condition is not None
            z = family.truncated_prior(Noise("truncation", rows=samples, take=rows), threshold)
            seen = reference.extract(family.decode_given(z, condition))
            features.append(seen.features)
            logits.append(seen.logits)
        if not logits[0].shape[1]:
            return
        distance, _ = frechet_distance(reference.moments[SPLIT], moments(gather(torch.cat(features))))
        yield Traded(threshold, distance, inception_score(torch.cat(logits), parts).mean)
