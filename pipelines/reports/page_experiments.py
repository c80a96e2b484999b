"""What else was tried with the runs of a comparison's page: MLflow's other runs of the same names.

Those that are chosen in their table are compared like runs: by a row among them, curves, and samples while training.
"""

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from pipelines.reports.curves import Curves
from pipelines.reports.page_table import TrainingRow
from pipelines.reports.page_template import marks
from pipelines.reports.tables import number, with_spreads
from pipelines.tracking.names import of_test
from pipelines.tracking.tracked import Tracked

MOST = 20
"""The newest are shown: each has its pictures and curves in the page."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One of MLflow's runs, and its curves."""

    tracked: Tracked
    curves: Curves

    @property
    def name(self) -> str:
        """By which it stands among the runs."""
        return f"{self.tracked.training} {self.tracked.change}"

    @property
    def row(self) -> TrainingRow:
        """Of the table."""
        one = self.tracked
        return TrainingRow(
            name=self.name,
            seed=int(one.settings.get("seed", 0)),
            step=0,
            settings=one.settings,
            seconds=one.metrics.get("seconds"),
            address=one.address,
        )

    def cells(self, columns: Sequence[str]) -> list[str]:
        """What stands in the columns of the comparison's table."""
        known = {"family": self.tracked.settings.get("family", ""), "trainings": self.tracked.settings.get("seeds", "")}
        return [known.get(column) or self.score(column.replace(" ", "_")) for column in columns]

    def score(self, metric: str) -> str:
        """With its spreads, as of a run; "" of what MLflow has no number of."""
        found = self.tracked.metrics
        mean, draws = (found.get(of_test(metric, of), float("nan")) for of in ("", "sd_draws"))
        mean = found.get(of_test(metric, "mean_trainings"), mean)
        return with_spreads(mean, draws, found.get(of_test(metric, "sd_trainings")))


def chosen(rank: str, tried: Sequence[Tracked], runs: Collection[str]) -> list[Tracked]:
    """Those that changed something of a run of the page and were measured, the newest of each change.

    Args:
        rank: the metric that orders runs.
        tried: MLflow's runs, the newest first, without those that the page compares.
        runs: of the page.
    """
    found: dict[tuple[str, str], Tracked] = {}
    for one in tried:
        if one.change and of_test(rank) in one.metrics and one.training in runs:
            found.setdefault((one.training, one.change), one)
    return list(found.values())[:MOST]


def among(table: pd.DataFrame, tried: Sequence[Experiment]) -> pd.DataFrame:
    """The table with a row of each experiment beneath its run."""
    rows = []
    for run, cells in table.iterrows():
        rows.append((run, list(cells)))
        rows += [(one.name, one.cells(list(table.columns))) for one in tried if one.tracked.training == run]
    return pd.DataFrame([cells for _, cells in rows], index=[name for name, _ in rows], columns=table.columns)


def experiments(rank: str, tried: Sequence[Experiment]) -> str:
    """A table of them in HTML, the best of each run first; "" without any."""
    if not tried:
        return ""
    score = of_test(rank)
    rows = []
    for each in sorted(tried, key=lambda each: (each.tracked.training, each.tracked.metrics[score])):
        one, name = each.tracked, html.escape(each.name)
        rows.append(
            f'<tr {marks(one.training, False)}><td><input type=checkbox data-shows="{name}" aria-label="{name}"></td>'
            f"<td>{html.escape(one.training)}</td><td>{html.escape(one.change)}</td>"
            f"<td>{number(one.metrics[score], float('nan'))}</td><td>{html.escape(one.dvc_experiment)}</td>"
            f'<td><a href="{html.escape(one.address)}">run</a></td></tr>'
        )
    names = ("compare", "run", "change", rank.replace("_", " "), "DVC's name", "MLflow")
    heads = "".join(f"<th>{name}</th>" for name in names)
    return (
        "<h2>Experiments</h2><p>Experiments with these runs that MLflow had when the page was made, the best of each "
        "run first: what each changed of the committed params file. One that is ticked is compared like a run: in the "
        "table of runs, the curves and the samples while training.</p>"
        f"<div class=scroll><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
