"""How samples are drawn of any family: what a conditional one is told, and which rows of it are shown."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Conditional, Cyclic, Samples
from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, ImageShape, Noise

SHOWN = 64
"""Samples of a grid, where no classes are told."""
EACH = 8
"""Samples of each class, a row of the grid, where they are."""
CLASSES = 16
"""Most rows of such a grid."""
CYCLES = 16
"""Samples of a grid in which each is translated back, too."""


def told(family: object, batch: Batch) -> Condition | None:
    """The columns of a batch that a family conditions on, and no others; None for an unconditional family."""
    if not isinstance(family, Conditional):
        return None
    labels = batch.labels if "labels" in family.conditions_on else None
    columns = {}
    for asked in family.conditions_on:
        kind, _, name = asked.partition(".")
        if kind != "labels":
            columns[name] = batch.others[name].images if kind == "others" else batch.extras[name]
    return Condition(labels, columns)


class Given(NamedTuple):
    """The pictures that a family translates."""

    name: str
    """In the extras of its condition."""
    shape: ImageShape


def given(family: object, data: DataSpec) -> Given | None:
    """The pictures that a family translates; None of a family that is told anything else, or nothing.

    Args:
        family: of any kind.
        data: what it is built for.
    """
    if not isinstance(family, Conditional) or len(family.conditions_on) != 1:
        return None
    kind, _, name = family.conditions_on[0].partition(".")
    if kind == "others":
        return Given(name, data.image)
    column = data.extras.get(name)
    return Given(name, ImageShape(*column.shape)) if column and column.image else None


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
    """Of a family that translates pictures, those that its samples should be, or should be like."""

    def pictures(self, family: object, samples: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w2"]:
        """The samples; of a family that translates, each between what it was given and its target, side by side.

        Of one that translates both ways: what it was given, translated, and back again; beside them the same of a
        picture of the target's domain.
        """
        if self.condition is None or self.targets is None:
            return samples
        targets = self.targets.to(samples)
        row = [*(pictures.to(samples) for pictures in self.condition.extras.values()), samples]
        if isinstance(family, Cyclic):
            other = family.translate_back(targets)
            row += [family.translate_back(samples), targets, other, family.translate(other)]
        else:
            row.append(targets)
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
    rows = CYCLES if isinstance(family, Cyclic) else SHOWN
    batch = held_out(rows)
    return Shown(rows, told(family, batch), batch.images if given(family, data) else None)


def spread(condition: Condition | None, rows: int) -> Condition | None:
    """So many rows of a condition, evenly spread over all, or from the start again where it has fewer."""
    if condition is None:
        return None
    column = next(iter([*condition.extras.values()] if condition.labels is None else [condition.labels]))
    chosen = torch.arange(rows)
    return condition.rows(chosen * len(column) // rows if rows <= len(column) else chosen % len(column))
