"""How much features learned without labels help a linear classifier that has few: test error with 1,000 labels.

The protocol of Radford et al. 2015 (DCGAN, section 5.2), which Dumoulin et al. 2016 (ALI, section 4.1) follow, as ALI's
published script runs it (experiments/semi_supervised_svhn.py of IshmaelBelghazi/ALI):

- the last 10,000 training rows are for validation, the others are the pool; features are taken as they are, unscaled;
- one labelled set of 1,000 rows of the pool chooses C: an L2-SVM for each of 50 values exp(linspace(-20, 20)), and of
  those with the least validation error the smallest;
- 100 new labelled sets, each from the whole pool: an L2-SVM with that C, its error on all test rows. The mean is
  reported, and the standard deviation as numpy.std has it (ddof = 0).

The script draws 100 rows of each class; the paper says "at random". Both rules are here. DCGAN's script
(svhn/svhn_semisup_analysis.py of Newmu/dcgan_code) draws by class too, but we do not follow it in the rest: it shuffles
before it takes the validation rows, tries seven C from 1e-4 to 1e-2 on ten sets each, and its "±" is 1.96 numpy.std.

The KNN baseline is ours wherever the papers are silent: Euclidean distance, k = 1, and the same labelled sets.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from gen.config.protocol import FULL, FULL_POOL, FULL_TEST, Protocol
from gen.errors import InputError
from gen.family import seed_of
from gen.metrics.neighbours import nearest
from gen.metrics.svm import Machines, check_rows, fit, predict, resolved

Rule = Literal["class_balanced", "at_random"]
"""How a labelled set is drawn: as many rows of each class, or any rows."""

STRANDS = 4
"""The values of C are tried in so many interleaved strands, each of which can have a core of its own."""

T = TypeVar("T")
R = TypeVar("R")


class Labelled(NamedTuple):
    """Rows of features, and the class of each."""

    features: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]

    def at(self, rows: Int[Tensor, " m"] | slice) -> "Labelled":
        """The given rows."""
        return Labelled(self.features[rows], self.labels[rows])


class Errors(NamedTuple):
    """Test error over labelled sets."""

    mean_percent: float
    sd_percent: float
    """ddof = 0."""
    draws: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What has to be said beside the number."""

    protocol: str
    """Its name."""
    reduced: bool
    """Whether anything was smaller than in the full protocol: no paper's number belongs beside it then."""
    rule: Rule
    labelled: int
    test_error: Errors
    cost: float
    """The chosen C."""
    resolved: bool
    """Whether every SVM with it is known to be at its minimum; float64 may fall short where features' scales are very
    unlike and C is large."""
    validation_error_percent: float
    """Of the SVM that C was chosen by."""
    dimension: int
    """How many features an image has."""
    pool_rows: int
    validation_rows: int
    test_rows: int


def hold_out(train: Labelled, protocol: Protocol = FULL) -> tuple[Labelled, Labelled]:
    """Pool and validation rows of all training rows.

    Raises:
        InputError: no row would be left for the pool.
    """
    if len(train.labels) <= protocol.validation:
        raise _too_few(
            "training", len(train.labels), f"more than {protocol.validation} of them for validation", protocol
        )
    return train.at(slice(-protocol.validation)), train.at(slice(-protocol.validation, None))


def semi_supervised_svm(
    pool: Labelled,
    validation: Labelled,
    test: Labelled,
    classes: int,
    *,
    rule: Rule,
    protocol: Protocol = FULL,
    seed: int = 0,
) -> Result:
    """The whole protocol, on as many cores as torch has threads; the result is the same on any number.

    Raises:
        InputError: pool or test have fewer rows than the protocol needs, the validation rows are not as many as it
            says, a feature is not finite, or the parts differ in width.
    """
    _check(classes, pool=pool, validation=validation, test=test)
    if len(validation.labels) != protocol.validation:
        raise _too_few("validation", len(validation.labels), f"exactly {protocol.validation}", protocol)
    for where, rows, needed in (("pool", len(pool.labels), FULL_POOL), ("test", len(test.labels), FULL_TEST)):
        if protocol.name == FULL.name and rows < needed:
            raise _too_few(where, rows, f"{needed}", protocol)
    select, *draws = draw(pool.labels, classes, rule, protocol, seed)
    costs: list[float] = torch.linspace(-20, 20, protocol.costs, dtype=torch.float64).exp().tolist()

    def try_costs(strand: Sequence[float]) -> list[float]:
        return error_percents(predict(fit(*pool.at(select), classes, strand), validation.features), validation.labels)

    strands = [costs[first::STRANDS] for first in range(min(STRANDS, len(costs)))]
    tried = dict(zip(chain(*strands), chain(*_each(try_costs, strands)), strict=True))
    cost = min(costs, key=tried.__getitem__)
    machines = _each(lambda rows: fit(*pool.at(rows), classes, [cost]), draws)
    together = Machines(*map(torch.cat, zip(*machines, strict=True)))
    return Result(
        protocol=protocol.name,
        reduced=protocol.reduced(len(pool.labels), len(test.labels)),
        rule=rule,
        labelled=protocol.labelled,
        test_error=_summary(error_percents(predict(together, test.features), test.labels)),
        cost=cost,
        resolved=all(resolved(pool.features[rows], cost) for rows in draws),
        validation_error_percent=tried[cost],
        dimension=pool.features.shape[1],
        pool_rows=len(pool.labels),
        validation_rows=len(validation.labels),
        test_rows=len(test.labels),
    )


def nearest_neighbours(
    pool: Labelled, test: Labelled, classes: int, *, rule: Rule, protocol: Protocol = FULL, seed: int = 0
) -> Errors:
    """The baseline: each test row gets the commonest class among its k nearest labelled rows, of equals the first.

    With the same seed it is given the labelled sets that the SVM was tested with.

    Raises:
        InputError: as semi_supervised_svm, or k is more than a labelled set has rows.
    """
    _check(classes, pool=pool, test=test)
    if protocol.neighbours > protocol.labelled:
        raise InputError(
            f"protocol {protocol.name}: neighbours: {protocol.neighbours}, of {protocol.labelled} labelled rows"
        )
    _, *draws = draw(pool.labels, classes, rule, protocol, seed)
    sets = [pool.at(rows) for rows in draws[: protocol.neighbour_draws]]
    nearby = [known.labels[nearest(test.features, known.features, protocol.neighbours).indices] for known in sets]
    message = [one_hot(labels, classes).sum(dim=1).argmax(dim=1) for labels in nearby]
    return _summary(error_percents(torch.stack(message), test.labels))


def draw(
    labels: Int[Tensor, " n"], classes: int, rule: Rule, protocol: Protocol, seed: int
) -> Int[Tensor, "draws labelled"]:
    """Rows of the labelled sets: one that chooses C, then `protocol.draws` to be tested. No set has a row twice.

    Raises:
        InputError: too few rows, or of a class.
    """
    if len(labels) < protocol.labelled:
        raise _too_few("pool", len(labels), f"{protocol.labelled}", protocol)
    if rule == "at_random":
        return torch.stack([order[: protocol.labelled] for order in _orders(labels, protocol, rule, seed)])
    share, rest = divmod(protocol.labelled, classes)
    if rest:
        raise InputError(
            f"protocol {protocol.name}: labelled: {protocol.labelled} is no multiple of {classes} classes; "
            f"take {protocol.labelled - rest or classes}"
        )
    least, rarest = torch.bincount(labels, minlength=classes).min(dim=0)
    if least < share:
        raise _too_few(f"pool, class {int(rarest)}", int(least), f"{share} of each class", protocol)
    sets = []
    for order in _orders(labels, protocol, rule, seed):
        of_class = labels[order]
        sets.append(torch.cat([order[of_class == k][:share] for k in range(classes)]))
    return torch.stack(sets)


def error_percents(message: Int[Tensor, "m n"], labels: Int[Tensor, " n"]) -> list[float]:
    """How many of each of the m lists of classes are wrong."""
    wrong: list[float] = (100 * (message != labels).double().mean(dim=1)).tolist()
    return wrong


def _check(classes: int, **parts: Labelled) -> None:
    for where, rows in parts.items():
        check_rows(*rows, classes, where)
        width, expected = rows.features.shape[1], parts["pool"].features.shape[1]
        if width != expected:
            raise InputError(f"{where}: {width} features; the pool has {expected}: use one model for all")


def _orders(labels: Int[Tensor, " n"], protocol: Protocol, rule: Rule, seed: int) -> list[Int[Tensor, " n"]]:
    """All rows in a random order, for each labelled set."""
    keys = [seed_of(seed, "labelled", rule, index) for index in range(1 + protocol.draws)]
    orders = [torch.randperm(len(labels), generator=torch.Generator().manual_seed(key)) for key in keys]
    return [order.to(labels.device) for order in orders]


def _summary(percents: Sequence[float]) -> Errors:
    values = torch.tensor(percents, dtype=torch.float64)
    return Errors(float(values.mean()), float(values.std(correction=0)), len(percents))


def _too_few(where: str, rows: int, needed: str, protocol: Protocol) -> InputError:
    return InputError(
        f"{where}: {rows} rows; protocol {protocol.name!r} needs {needed}: "
        "give more, or give params a protocol of its own name and size"
    )


def _each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The work of each item, one item to a core: matrices of this size are slower when cores share one."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        done = list(pool.map(work, items))
    torch.set_num_threads(threads)  # a worker's number is also that of threads yet to come
    return done
