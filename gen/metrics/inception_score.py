"""Inception score: are samples sure of their class, and classes many?

    exp( E_x KL( p(y|x) || p(y) ) )

(Salimans 2016, arXiv:1606.03498, section 4.) From 1 to the number of classes. It never looks at real samples. With
another classifier than the Inception network it is a different measure, comparable only with itself.
"""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import check_features, check_positive


class InceptionScore(NamedTuple):
    """Mean and spread over splits."""

    mean: float
    sd: float
    """Population standard deviation over splits, as in the published code."""
    splits: int


def inception_score(logits: Float[Tensor, "n k"], splits: int = 10) -> InceptionScore:
    """The score of each of `splits` consecutive, equal parts; rows beyond the last part are left out, as published.

    Probabilities are given as their logarithms.

    Raises:
        InputError: fewer samples than splits, or logits that are not finite.
    """
    check_positive(splits=splits)
    if len(logits) < splits:
        raise InputError(f"logits: {len(logits)} samples for {splits} splits; each split needs at least one")
    check_features(logits, "logits", least=1)
    size = len(logits) // splits
    log_p = logits[: size * splits].double().log_softmax(dim=1).reshape(splits, size, -1)
    log_marginal = log_p.logsumexp(dim=1, keepdim=True) - math.log(size)
    scores = (log_p.exp() * (log_p - log_marginal)).sum(dim=2).mean(dim=1).exp()
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)), splits)
