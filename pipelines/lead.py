"""Whether a run leads a comparison: only by more than what chance alone moves its number by."""

import math
from typing import NamedTuple

import pandas as pd

from pipelines.results import Number


class Verdict(NamedTuple):
    """Who leads a comparison."""

    runs: list[str]
    """The first run and those that are not told apart from it, where the first is apart from some other; else none."""
    said: str
    """A sentence for people, with the reason."""


def apart(better: pd.Series, worse: pd.Series, rank: str, floor: Number | None) -> bool:
    """Whether one run's number is smaller than another's by more than chance accounts for.

    The lead has to exceed twice the root of the sum of the squared spreads: over trainings of both runs, and over draws
    of the floor, which is the same number of held-out real data. Two runs that both reach the floor, within two of its
    spreads, are not apart: no number of this kind tells them from real data.

    Args:
        better: a row of the comparison, with columns <metric>, <metric>_sd_draws and <metric>_sd_trainings.
        worse: another, whose number is no smaller.
        rank: the metric, of which smaller is better.
        floor: None where it cannot be had.
    """
    spread = floor.sd_draws if floor else 0.0
    if floor and worse[rank] <= floor.mean + 2 * spread:
        return False
    spreads = (better[f"{rank}_sd_trainings"], worse[f"{rank}_sd_trainings"], spread)
    return bool(worse[rank] - better[rank] > 2 * math.hypot(*spreads))  # false, too, where a spread is not known: NaN


def verdict(table: pd.DataFrame, rank: str, floor: Number | None) -> Verdict:
    """Who leads, and a sentence that says so, or why nobody does.

    Args:
        table: a row for each run, the smallest `rank` first, with the columns that `apart` looks at.
        rank: the metric that orders them.
        floor: of that metric; None where it cannot be had.
    """
    name = rank.replace("_", " ")
    if len(table) == 1:
        return Verdict([], f"There is one run, so nothing to compare its {name} with.")
    if table[f"{rank}_sd_trainings"].isna().any():
        once = ", ".join(str(run) for run in table.index[table[f"{rank}_sd_trainings"].isna()])
        once = "each run" if len(table) == table[f"{rank}_sd_trainings"].isna().sum() else once
        return Verdict(
            [],
            f"No run is said to lead: {once} was trained with one seed, and how far another training would differ is "
            "not known. Give runs `seeds: 3` to find out.",
        )
    first = table.iloc[0]
    beside = [str(run) for run, row in table.iloc[1:].iterrows() if not apart(first, row, rank, floor)]
    if not beside:
        said = f"{first.name} leads, by more than the spread over trainings and that of the floor."
        return Verdict([str(first.name)], said)
    if len(beside) == len(table) - 1:
        said = f"No run leads: by {name} they are not told apart, given the spread over trainings and the floor."
        return Verdict([], said)
    behind = [str(run) for run in table.index[1:] if run not in beside]
    said = f"{first.name} leads {', '.join(behind)}; it is not told apart from {', '.join(beside)}."
    return Verdict([str(first.name), *beside], said)
