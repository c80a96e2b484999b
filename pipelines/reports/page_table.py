"""The table of a comparison's page: a row for each run, beneath it its trainings, and their hyperparameters."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipelines.reports.page_template import marks
from pipelines.reports.tables import number

WHAT = {"family", "trainings", "best step"}
"""Columns that say what a run is, before those that say how good it is."""
ALIKE = {"family", "dataset", "group", "seeds"}
"""Settings that stand elsewhere in the page."""


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One training of a run."""

    name: str
    """<run>, or <run>-seed<seed>."""
    seed: int
    step: int
    """The checkpoint that was measured."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Means over draws."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters by path; of an older version's model none."""
    seconds: float | None = None
    """How long it was trained."""
    address: str = ""
    """Its page in MLflow, if that is known."""


def html_table(table: pd.DataFrame, trainings: Mapping[str, Sequence[TrainingRow]], leader: str | None) -> str:
    """The table.

    Args:
        table: a row for each run, as people read it; perhaps one more, of real images.
        trainings: of each run, that of the first seed first.
        leader: of the runs, if there is one.
    """
    paths = dict.fromkeys(path for rows in trainings.values() for row in rows for path in row.settings)
    settings = [path for path in paths if path not in ALIKE]
    first = sum(column in WHAT for column in table.columns)
    heads = ["run", *table.columns[:first], "training time", "MLflow", *table.columns[first:]]
    folded = "".join(f"<th data-folded>{html.escape(path)}</th>" for path in settings)
    head = "".join(f"<th {wide_enough(str(name))}>{html.escape(str(name))}</th>" for name in heads) + folded
    body = []
    for name, cells in zip(table.index, table.to_numpy(), strict=True):
        rows = trainings.get(name, [])
        title = html.escape(str(name)) + (" (leads)" if name == leader else "")
        if len(rows) > 1:
            title = f'<button aria-expanded=false title="Its trainings">▸</button>{title}'
        written = [html.escape(str(cell)) for cell in cells]
        written[first:first] = [duration(sum_of(rows)), link(rows[0])] if rows else ["", ""]
        written += [html.escape(setting(rows, path)) for path in settings]
        body.append(row_of(marks(name, False) if rows else "", title, written))
        for one in rows if len(rows) > 1 else ():
            own = [training_cell(str(column), one) for column in table.columns]
            own[first:first] = [duration(one.seconds), link(one)]
            own += [html.escape(setting([one], path)) for path in settings]
            body.append(row_of(marks(name, True), html.escape(one.name), own))
    return f"<table id=runs><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def wide_enough(name: str) -> str:
    """The attribute by which a long head has about three lines: a table in want of room would break it at each word."""
    return f'style="min-width: {-(-len(name) // 3)}ch"'


def row_of(attributes: str, title: str, cells: Sequence[str]) -> str:
    """A row of HTML."""
    return f"<tr {attributes}><th>{title}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def training_cell(column: str, one: TrainingRow) -> str:
    """What stands in a run's column for one of its trainings."""
    if column == "trainings":
        return f"seed {one.seed}"
    if column == "best step":
        return f"{one.step:,}"
    value = one.metrics.get(column.replace(" ", "_"))
    return "" if value is None else number(value, float("nan"))


def setting(rows: Sequence[TrainingRow], path: str) -> str:
    """A hyperparameter of a run: its values, which differ between trainings only for the seed."""
    values = dict.fromkeys("" if row.settings.get(path) is None else str(row.settings[path]) for row in rows)
    return ", ".join(values)


def sum_of(rows: Sequence[TrainingRow]) -> float | None:
    """How long all trainings of a run took; None when that of one is not known, or there are none."""
    known = [row.seconds for row in rows if row.seconds is not None]
    return sum(known) if known and len(known) == len(rows) else None


def duration(seconds: float | None) -> str:
    """As people say it, the seconds first where there are few: 42 s, 3.5 min, 2.1 h."""
    if seconds is None:
        return ""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def link(row: TrainingRow) -> str:
    """To the run in MLflow."""
    return f'<a href="{html.escape(row.address)}">run</a>' if row.address else ""
