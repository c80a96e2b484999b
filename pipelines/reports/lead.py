"""Whether a number is smaller than another by more than chance: the rule of comparisons and of sweeps."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from pipelines.reports.results import Floor

SCORES = ("mode_variation", "fid_", "sliced_wasserstein")
"""What chooses checkpoints and orders comparisons: the first of these that there is."""


class Standing(NamedTuple):
    """A number of which smaller is better, and how far chance moves it."""

    mean: float
    sd: float
    """Over trainings with different seeds, NaN for a single one; of a floor, over draws of real data."""


class Verdict(NamedTuple):
    """Who leads a comparison."""

    leader: str | None
    """The first run, where it is apart from some other."""
    beside: list[str]
    """Those that are not told apart from it."""
    message: str
    """A sentence for people, with the reason."""


def ranked_by(metrics: Iterable[str]) -> str:
    """What orders runs: of a mixture the variation of its modes, else the first extractor's FID; "" without."""
    names = list(metrics)
    return next((name for start in SCORES for name in names if name.startswith(start)), "")


def apart(better: Standing, worse: Standing, floor: Standing | None) -> bool:
    """Whether a lead is more than chance.

    It has to exceed twice the root of the sum of the squared spreads, of both and of the floor, which is the same
    number of held-out real data. Two that both reach the floor, within two of its spreads, are not apart: no number of
    this kind tells them from real data. Nor is what was trained once, whose spread is not known.
    """
    if floor and worse.mean <= floor.mean + 2 * floor.sd:
        return False
    spread = math.hypot(better.sd, worse.sd, floor.sd if floor else 0.0)
    return worse.mean - better.mean > 2 * spread  # false, too, where a spread is NaN


def verdict(table: pd.DataFrame, rank: str, floor: Floor | None) -> Verdict:
    """Who leads, and a sentence that says so, or why nobody does.

    Args:
        table: a row for each run, the smallest `rank` first, with columns <metric> and <metric>_sd_trainings.
        rank: the metric that orders them.
        floor: of that metric; None where it cannot be had of as many images as there are samples.
    """
    name = rank.replace("_", " ")
    spreads = table[f"{rank}_sd_trainings"]
    if len(table) == 1:
        return Verdict(None, [], f"There is one run, so nothing to compare its {name} with.")
    if spreads.isna().any():
        once = "each run" if spreads.isna().all() else ", ".join(str(run) for run in table.index[spreads.isna()])
        were = "were" if 1 < spreads.isna().sum() < len(spreads) else "was"
        message = (
            f"No run is said to lead: {once} {were} trained with one seed, and how far another training would differ "
            "is not known. Give runs `seeds: 3` to find out."
        )
        return Verdict(None, [], message)
    runs = [Standing(float(mean), float(sd)) for mean, sd in zip(table[rank], spreads, strict=True)]
    real = Standing(floor.mean, floor.sd_draws) if floor else None
    chance = "the spread over trainings" + (" and that of the floor" if floor else "")
    first, others = str(table.index[0]), [str(run) for run in table.index[1:]]
    beside = [run for run, other in zip(others, runs[1:], strict=True) if not apart(runs[0], other, real)]
    if not beside:
        return Verdict(first, [], f"{first} leads, by more than {chance}.")
    if beside == others:
        return Verdict(None, [], f"No run leads: by {name} none is told apart from the first, given {chance}.")
    behind = ", ".join(run for run in others if run not in beside)
    return Verdict(first, beside, f"{first} leads {behind}; it is not told apart from {', '.join(beside)}.")
