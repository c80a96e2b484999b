"""Inception score: are samples sure of their class, and classes many?

    exp( E_x KL( p(y|x) || p(y) ) )

(Salimans 2016, arXiv:1606.03498, section 4.) From 1 to the number of classes. It never looks at real samples. With
another classifier than the Inception network it is a different measure, comparable only with itself.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
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
    """The score of consecutive parts, as published: part i of n rows is i n // splits to (i + 1) n // splits.

    Probabilities are given as their logarithms.

    Raises:
        InputError: fewer samples than splits, or logits that are not finite.
    """
    check_positive(splits=splits)
    n = len(logits)
    if n < splits:
        raise InputError(f"logits: {n} samples for {splits} splits; each split needs at least one")
    check_features(logits, "logits", least=1)
    log_p = logits.double().log_softmax(dim=1)
    scores = torch.stack([_score(log_p[i * n // splits : (i + 1) * n // splits]) for i in range(splits)])
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)), splits)


def _score(log_p: Float64[Tensor, "n k"]) -> Float64[Tensor, ""]:
    log_marginal = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return (log_p.exp() * (log_p - log_marginal)).sum(dim=1).mean().exp()
