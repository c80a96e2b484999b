"""How samples are drawn of any family: what a conditional one is told, and which rows of it are shown."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Conditional, Samples
from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, Noise

SHOWN = 64
"""Samples of a grid, where no classes are told."""
EACH = 8
"""Samples of each class, a row of the grid, where they are."""
CLASSES = 16
"""Most rows of such a grid."""


def told(family: object, batch: Batch) -> Condition | None:
    """The columns of a batch that a family conditions on, and no others; None for an unconditional family."""
    if not isinstance(family, Conditional):
        return None
    names = [name.removeprefix("extras.") for name in family.conditions_on if name != "labels"]
    labels = batch.labels if "labels" in family.conditions_on else None
    return Condition(labels, {name: batch.extras[name] for name in names})


def draw(family: object, noise: Noise, condition: Condition | None = None) -> Float[Tensor, "n c h w"]:
    """Samples of a family, conditional or not.

    Raises:
        InputError: it does not sample, is conditional and has no condition, or is not conditional and has one.
    """
    name = type(family).__module__.rpartition(".")[2]
    if isinstance(family, Conditional):
        if condition is None:
            raise InputError(f"{name} conditions on {', '.join(family.conditions_on)}: give a condition")
        return family.sample(noise, condition)
    if not isinstance(family, Samples):
        raise InputError(f"{name} does not sample: it has no prior")
    if condition is not None:
        raise InputError(f"{name} is not conditional: leave the condition out")
    return family.sample(noise)


def by_class(classes: int, each: int) -> Condition:
    """So many rows of each class, one class after the other."""
    return Condition(torch.arange(classes).repeat_interleave(each))


def shown(family: object, data: DataSpec, held_out: Callable[[int], Batch]) -> tuple[int, Condition | None]:
    """How many samples of a family are shown, and of what: a row for each class, or the first held-out rows.

    Args:
        family: of which samples are shown.
        data: what it is built for.
        held_out: so many rows of the validation split.
    """
    if not isinstance(family, Conditional):
        return SHOWN, None
    if tuple(family.conditions_on) == ("labels",):
        classes = min(data.classes, CLASSES)
        return classes * EACH, by_class(classes, EACH)
    return SHOWN, told(family, held_out(SHOWN))


def spread(condition: Condition | None, rows: int) -> Condition | None:
    """So many rows of a condition, evenly spread over all, or from the start again where it has fewer."""
    if condition is None:
        return None
    column = next(iter([*condition.extras.values()] if condition.labels is None else [condition.labels]))
    chosen = torch.arange(rows)
    return condition.rows(chosen * len(column) // rows if rows <= len(column) else chosen % len(column))
