"""Linear support vector machines with the squared hinge, one class against the rest: the problem that LinearSVC solves.

For each class, with y_i = 1 for its examples and -1 for the rest, over weights w and intercept b:

    minimise  1/2 |w|^2 + 1/2 b^2 + C sum_i max(0, 1 - y_i (w.x_i + b))^2

This is scikit-learn's LinearSVC(loss="squared_hinge", penalty="l2", intercept_scaling=1). LIBLINEAR (Fan et al. 2008)
treats the intercept as the weight of one more feature that is always 1, so it is regularised like the others, and the
Gram matrix is K = X X^T + 1. LIBLINEAR walks through all n x d numbers again and again; with fewer examples than
features everything fits in K: w = X^T beta, b = sum beta, and the decision values are f = K beta.

The method is the finite Newton method (Keerthi & DeCoste, "A modified finite Newton method for fast solution of large
scale linear SVMs", 2005), in the Gram matrix (Chapelle, "Training a support vector machine in the primal", 2007): were
the set S of examples with y f < 1 known, beta would be that of ridge regression,

    (K_SS + I / 2C) beta_S = y_S,   beta = 0 elsewhere,

and a beta whose own set is S again is the minimum. A few steps that all classes make together, with one factor of
K + I / 2C, come near the right S first; they save most of the factorisations of K_SS.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import check_features

APPROACH = 15
"""Shared steps before Newton's."""
SETTLED = 1e-12
"""Newton's steps end when they lower the objective by less, relatively: float64 sees no further."""
BLOCK = 125
"""Rows of the Gram matrix that are computed together."""
RESOLVED = 1e11
"""2 C trace(K) below which the minimum is reached whatever the features' scales: a bound that was measured."""
ROWS = 4096
"""Examples that are scored together."""


class _Point(NamedTuple):
    """beta of k problems, and f = K beta."""

    beta: Float64[Tensor, "n k"]
    f: Float64[Tensor, "n k"]


class Machines(NamedTuple):
    """Trained classifiers: m of them, each with a weight vector for each of k classes."""

    weights: Float64[Tensor, "m d k"]
    intercepts: Float64[Tensor, "m k"]


def fit(
    features: Float[Tensor, "n d"], labels: Int[Tensor, " n_labels"], classes: int, costs: Sequence[float]
) -> Machines:
    """One classifier for each C of `costs`. Computed in float64, to the minimum. An absent class is never said.

    In ascending order each C starts from the solution of the one before. Time grows as n^2 d, and for each C and class
    as s^3 with s examples inside the margin. At large C, where LIBLINEAR stops at its limit of iterations short of the
    minimum, this goes on to it, as far as float64's K can tell: while 2 C trace(K) is below RESOLVED, the objective of
    random features whose scales span eight orders of magnitude is within 1e-9 of the minimum, relatively. With such
    features, more examples than features and larger C, it may stay above; `resolved` says which C are below.

    Raises:
        InputError: a feature that is not finite, a label that is no class, or a C that is not positive.
    """
    check_rows(features, labels, classes, "training examples")
    if not all(0 < C < math.inf for C in costs):
        raise InputError(f"costs: {list(costs)}; every C has to be positive")
    X = features.double()
    y = torch.where(labels[:, None] == torch.arange(classes, device=labels.device), 1.0, -1.0).double()
    beta = solve(gram(X), y, costs)
    together = beta.movedim(0, 1).flatten(1)
    weights = (X.T @ together).reshape(-1, len(costs), classes)
    absent = torch.bincount(labels, minlength=classes) == 0
    return Machines(weights.movedim(1, 0), beta.sum(1).masked_fill(absent, -math.inf))


def resolved(features: Float[Tensor, "n d"], cost: float) -> bool:
    """Whether `fit` is known to reach the minimum at this C; the trace of K is the sum of all squares, and n."""
    return 2 * cost * (float(features.double().square().sum()) + len(features)) < RESOLVED


def predict(machines: Machines, features: Float[Tensor, "n d"]) -> Int[Tensor, "m n"]:
    """The class of each example by each classifier: one matrix product for all, in the features' own precision."""
    m, d, k = machines.weights.shape
    weights = machines.weights.movedim(1, 0).reshape(d, m * k).to(features)
    intercepts = machines.intercepts.flatten().to(features)
    parts = torch.split(features, ROWS)
    message = [torch.addmm(intercepts, rows, weights).reshape(-1, m, k).argmax(2) for rows in parts]
    return torch.cat(message).T


def check_rows(features: Float[Tensor, "n d"], labels: Int[Tensor, " n_labels"], classes: int, where: str) -> None:
    """Whether there are rows, as many labels, and in them finite numbers and known classes.

    Raises:
        InputError: if not; `where` says whose rows they are.
    """
    if not len(features) == len(labels) > 0:
        raise InputError(
            f"{where}: {len(features)} rows of features and {len(labels)} labels; expected one of each for an image"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InputError(
            f"{where}: labels from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}"
        )
    check_features(features, where, 1)


def gram(X: Float64[Tensor, "n d"]) -> Float64[Tensor, "n n"]:
    """X X^T + 1; the 1 is the intercept's. Only one half is computed, in blocks."""
    K = X.new_empty(len(X), len(X))
    for first in range(0, len(X), BLOCK):
        block, after = slice(first, first + BLOCK), slice(first + BLOCK, None)
        K[block, first:] = X[block] @ X[first:].T
        K[after, block] = K[block, after].T
    return K.add_(1)


def solve(K: Float64[Tensor, "n n"], y: Float64[Tensor, "n k"], costs: Sequence[float]) -> Float64[Tensor, "c n k"]:
    """The beta of each C and each column of y (1 or -1), in the order of `costs`.

    float64 cannot tell C from infinity once 1 / 2C is below 1e-15 of the trace of K; there it is taken to be that.
    """
    beta, found = torch.zeros_like(y), {}
    for C in sorted(costs):
        ridge = max(1 / (2 * C), 1e-15 * float(K.trace()))
        beta = _newton(K, y, ridge, _approach(K, y, ridge, beta))
        found[C] = beta
    return torch.stack([found[C] for C in costs])


def _approach(
    K: Float64[Tensor, "n n"], y: Float64[Tensor, "n k"], ridge: float, beta: Float64[Tensor, "n k"]
) -> Float64[Tensor, "n k"]:
    """A better beta, by majorisation: the hinge, flat beyond the margin, lies under a parabola around the present f.

    With parabolas for all examples, all classes share one factor. Nesterov's extrapolation as in Beck & Teboulle 2009.
    """
    factor = torch.linalg.cholesky(_raised(K, ridge))
    f = ahead = K @ beta
    t = 1.0
    for _ in range(APPROACH):
        goal = torch.where(y * ahead < 1, y, ahead)
        beta = torch.cholesky_solve(goal, factor)
        before, f = f, goal - ridge * beta  # f is K beta
        t, t_before = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        ahead = f + (t_before - 1) / t * (f - before)
    return beta


def _newton(
    K: Float64[Tensor, "n n"], y: Float64[Tensor, "n k"], ridge: float, beta: Float64[Tensor, "n k"]
) -> Float64[Tensor, "n k"]:
    """The minimum, from `beta`."""
    now = _Point(beta, K @ beta)
    value = _objective(y, ridge, now)
    inside = y * now.f < 1
    pending = torch.ones_like(value, dtype=torch.bool)
    while pending.any():
        beta = now.beta.clone()
        for k in pending.nonzero()[:, 0].tolist():
            beta[:, k] = _ridge_regression(K, y[:, k], ridge, inside[:, k])
        goal = _Point(beta, K @ beta)
        if (overshot := _objective(y, ridge, goal) > value).any():
            goal = _between(now, goal, torch.where(overshot, _line_search(y, ridge, now, goal), 1.0))
        before, value = value, _objective(y, ridge, goal)
        was_inside, inside = inside, y * goal.f < 1
        pending &= (inside != was_inside).any(0) & (before - value > SETTLED * value)
        now = goal
    return now.beta


def _ridge_regression(
    K: Float64[Tensor, "n n"], y: Float64[Tensor, " n"], ridge: float, inside: Bool[Tensor, " n"]
) -> Float64[Tensor, " n"]:
    """beta of the squares of the examples inside the margin alone."""
    beta = torch.zeros_like(y)
    rows = inside.nonzero()[:, 0]
    factor = torch.linalg.cholesky(_raised(K[rows][:, rows], ridge))
    beta[rows] = torch.cholesky_solve(y[rows, None], factor)[:, 0]
    return beta


def _raised(K: Float64[Tensor, "n n"], ridge: float) -> Float64[Tensor, "n n"]:
    raised = K.clone()
    raised.diagonal().add_(ridge)
    return raised


def _objective(y: Float64[Tensor, "n k"], ridge: float, at: _Point) -> Float64[Tensor, " k"]:
    """The objective over C, so that it stays near the number of examples: ridge |w|^2 + the sum of squared hinges."""
    return ridge * (at.beta * at.f).sum(0) + (1 - y * at.f).clamp(min=0).square().sum(0)


def _line_search(y: Float64[Tensor, "n k"], ridge: float, now: _Point, goal: _Point) -> Float64[Tensor, " k"]:
    """What share of the way to the goal has the lowest objective: its slope only rises, so it is bisected."""
    low = torch.zeros_like(y[0])
    high = torch.ones_like(low)
    for _ in range(50):
        middle = (low + high) / 2
        at = _between(now, goal, middle)
        falls = ((goal.f - now.f) * (ridge * at.beta - y * (1 - y * at.f).clamp(min=0))).sum(0) < 0
        low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
    return low


def _between(now: _Point, goal: _Point, share: Float64[Tensor, " k"]) -> _Point:
    return _Point(*(a + share * (b - a) for a, b in zip(now, goal, strict=True)))
