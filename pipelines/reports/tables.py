"""Tables for people: numbers with their spread, Markdown, and what papers report."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

PUBLISHED = Path(__file__).with_name("published.csv")
BRIEF = 7
"""Columns of a table that a terminal has room for."""
MOST_DIGITS = 9
"""Before the point; a larger number is written with its power of ten."""


def number(mean: float, sd: float) -> str:
    """Three digits, and the spread to as many places; none of a single value, whose spread is NaN."""
    if math.isnan(mean):
        return ""
    spread = sd > 0
    if math.isinf(mean):
        return f"{mean}" + (f" ± {sd:.0e}" if spread else "")
    digits = math.floor(math.log10(abs(mean))) if mean else 0
    if not -5 < digits < MOST_DIGITS:
        return f"{mean:.2e}" + (f" ± {sd:.0e}" if spread else "")
    places = max(0, 2 - digits)
    wide = spread and sd >= 10.0**MOST_DIGITS
    return f"{mean:,.{places}f}" + (f" ± {sd:.0e}" if wide else f" ± {sd:.{places}f}" if spread else "")


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Of finite numbers; the standard deviation (n - 1) of a single one is NaN, and inf beyond what a float holds."""
    try:
        mean = statistics.fmean(values)
    except OverflowError:
        mean = math.fsum(value / len(values) for value in values)
    try:
        return mean, statistics.stdev(values) if len(values) > 1 else math.nan
    except OverflowError:
        return mean, math.inf


def with_spreads(mean: float, sd_draws: float, sd_trainings: float | None) -> str:
    """The mean, ± its spread over trainings where there were several, and in brackets that over draws from one.

    ± is kept for trainings, because people read it as what another training would give.
    """
    over_trainings = math.nan if sd_trainings is None else sd_trainings
    text = number(mean, over_trainings)
    _, _, spread = number(mean, sd_draws).partition(" ± ")
    return f"{text} ({spread})" if spread else text


def markdown(table: pd.DataFrame, index: str = "run") -> str:
    """A Markdown table with the index as its first column, which can be read on a terminal too."""
    rows = [[index, *table.columns], *([run, *row] for run, row in zip(table.index, table.to_numpy(), strict=True))]
    columns = [[str(cell) for cell in column] for column in zip(*rows, strict=True)]
    widths = [max(3, *map(len, column)) for column in columns]
    padded = [[cell.ljust(width) for cell in column] for column, width in zip(columns, widths, strict=True)]
    head, *body = zip(*padded, strict=True)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["-" * width for width in widths], *body))


def beginning(text: str, columns: int = BRIEF) -> str:
    """A Markdown table without its last columns, as it fits on a terminal."""
    return "".join("|".join([*line.split("|")[: columns + 1], "\n"]) for line in text.splitlines())


def published() -> pd.DataFrame:
    """What papers report, as text: columns dataset, metric, protocol, method, value, sd, source."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
