"""How samples are drawn of any family: what a conditional one is told, and which rows of it are shown."""

from collections.abc import Callable
from typing import NamedTuple

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


class Shown(NamedTuple):
    """Which samples of a family people look at."""

    rows: int
    condition: Condition | None = None
    targets: Float[Tensor, "n c h w"] | None = None
    """Of a family that is given pictures, those that its samples should be."""

    def pictures(self, samples: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w2"]:
        """The samples; each between the pictures it was given and its target, side by side, where it was given any."""
        if self.condition is None or self.targets is None:
            return samples
        size = samples.shape[2:]
        given = [each for each in self.condition.extras.values() if each.is_floating_point() and each.shape[2:] == size]
        row = [each.to(samples) for each in (*given, samples, self.targets)]
        most = max(each.shape[1] for each in row)
        return torch.cat([each.expand(-1, most, -1, -1) if each.shape[1] == 1 else each for each in row], dim=3)


def shown(family: object, data: DataSpec, held_out: Callable[[int], Batch]) -> Shown:
    """Which samples of a family are shown: a row for each class, or of the first held-out rows.

    Args:
        family: of which samples are shown.
        data: what it is built for.
        held_out: so many rows of the validation split.
    """
    if not isinstance(family, Conditional):
        return Shown(SHOWN)
    if tuple(family.conditions_on) == ("labels",):
        classes = min(data.classes, CLASSES)
        return Shown(classes * EACH, by_class(classes, EACH))
    batch = held_out(SHOWN)
    pictures = any(data.extras[name].image for name in data.extras if f"extras.{name}" in family.conditions_on)
    return Shown(SHOWN, told(family, batch), batch.images if pictures else None)


def spread(condition: Condition | None, rows: int) -> Condition | None:
    """So many rows of a condition, evenly spread over all, or from the start again where it has fewer."""
    if condition is None:
        return None
    column = next(iter([*condition.extras.values()] if condition.labels is None else [condition.labels]))
    chosen = torch.arange(rows)
    return condition.rows(chosen * len(column) // rows if rows <= len(column) else chosen % len(column))
