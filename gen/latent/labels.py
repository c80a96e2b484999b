"""The attributes of images: those that a data set labels, its classes, and one that is measured."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from gen.errors import InputError
from gen.family import Batch
from gen.latent.sharpness import brightness
from gen.settings import nearest

Attributes = Mapping[str, Bool[Tensor, " n"]]
BRIGHT = "bright"
"""Brighter than half of the images: no data set labels it, and other attributes are correlated with it (White 2016,
section III.C), so that they can be balanced across it."""


def attributes(batch: Batch, classes: Sequence[str] = ()) -> Attributes:
    """Which images have which attribute: every column that is true or false, every class of several, and `bright`.

    Args:
        batch: images with their labels and further columns.
        classes: names of the labels.
    """
    light = brightness(batch.images)
    found = {BRIGHT: light > light.median()}
    if len(classes) > 1:
        found |= {name: batch.labels == number for number, name in enumerate(classes)}
    flags = {name: values for name, values in batch.extras.items() if values.dtype == torch.bool and values.dim() == 1}
    return found | flags


def attribute(known: Attributes, name: str) -> Bool[Tensor, " n"]:
    """Which images have the attribute.

    Raises:
        InputError: there is no such attribute; or no image has it, or all do, so that it has no vector.
    """
    if name not in known:
        raise InputError(f"attribute: {name!r}: the data set has none of that name; {nearest(name, known)}")
    has = known[name]
    if not has.any() or has.all():
        which = "all" if bool(has.any()) else "none"
        raise InputError(
            f"attribute: {name}: {which} of {len(has)} images has it; use more images, or another attribute"
        )
    return has
