"""Tables for people: numbers with their spread, Markdown, and what papers report."""

from pathlib import Path

import numpy as np
import pandas as pd

PUBLISHED = Path(__file__).with_name("published.csv")


def number(mean: float, sd: float) -> str:
    """Three digits, and the spread to as many places."""
    if np.isnan(mean):
        return ""
    places = max(0, 2 - int(np.floor(np.log10(abs(mean))))) if mean else 0
    if places > 6:
        return f"{mean:.2e}" + (f" ± {sd:.0e}" if sd else "")
    return f"{mean:,.{places}f}" + (f" ± {sd:.{places}f}" if sd else "")


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table with the index as its first column."""
    rows = [["run", *table.columns], ["---"] * (1 + len(table.columns))]
    rows += [[str(run), *map(str, row)] for run, row in zip(table.index, table.to_numpy(), strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def published() -> pd.DataFrame:
    """What papers report, as text: columns dataset, metric, protocol, method, value, sd, source."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
