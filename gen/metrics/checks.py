"""What metrics refuse: too few samples, and features that are not finite numbers or do not belong together."""

import torch
from jaxtyping import Num
from torch import Tensor

from gen.errors import InputError

CHUNK = 4096
"""Rows that are looked at, or held in float64, at a time."""


def check_features(features: Num[Tensor, "n d"], what: str, least: int) -> None:
    """At least `least` rows, all of them finite.

    Raises:
        InputError: otherwise; it names the first row that is not finite.
    """
    if len(features) < least:
        raise InputError(f"{what}: {len(features)} samples; at least {least} are needed")
    broken = torch.cat([~rows.isfinite().all(dim=1) for rows in torch.split(features, CHUNK)]).nonzero()
    if len(broken):
        raise InputError(
            f"{what}: row {int(broken[0])} is not finite (of {len(broken)} such rows); features are finite"
        )


def check_pair(real: Num[Tensor, "n d"], generated: Num[Tensor, "m width"], least: int) -> None:
    """Two sets of features that may be compared: each sound, both of one width.

    Raises:
        InputError: otherwise.
    """
    check_features(real, "real features", least)
    check_features(generated, "generated features", least)
    if real.shape[1] != generated.shape[1]:
        raise InputError(
            f"generated features: width {generated.shape[1]}, the real ones have {real.shape[1]}; use one extractor"
        )


def check_positive(**counts: int) -> None:
    """Every named count is at least 1.

    Raises:
        InputError: the first that is not.
    """
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"{name}: {value}; it is at least 1")


def rounding(terms: int) -> float:
    """Relative error that float64 may leave in a sum of `terms` products."""
    return terms * torch.finfo(torch.float64).eps
