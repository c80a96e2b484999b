"""What else was tried with the runs of a comparison's page: MLflow's other runs of the same names."""

import html
from collections.abc import Collection, Sequence

from pipelines.reports.page_template import Part, marks
from pipelines.reports.tables import number
from pipelines.tracking.names import of_test
from pipelines.tracking.tracked import Tracked

MOST = 50
"""The newest are shown."""


def experiments(rank: str, tried: Sequence[Tracked], runs: Collection[str]) -> Part | None:
    """A table of those that changed something and were measured, those of a run side by side; None without any.

    Args:
        rank: the metric that orders runs, the smaller the better.
        tried: MLflow's runs, the newest first, without those that the page compares.
        runs: of the page.
    """
    score = of_test(rank)
    found = [one for one in tried if one.change and score in one.metrics and one.training in runs][:MOST]
    if not found:
        return None
    found.sort(key=lambda one: (one.training, one.metrics[score]))
    rows = [
        f"<tr {marks(one.training, False)}><td>{html.escape(one.training)}</td><td>{html.escape(one.change)}</td>"
        f"<td>{number(one.metrics[score], float('nan'))}</td><td>{html.escape(one.dvc_experiment)}</td>"
        f'<td><a href="{html.escape(one.address)}">run</a></td></tr>'
        for one in found
    ]
    heads = "".join(f"<th>{head}</th>" for head in ("run", "change", rank.replace("_", " "), "DVC's name", "MLflow"))
    return Part(
        "<p>Experiments with these runs that MLflow had when the page was made, the best of each run first: what each "
        "changed of the committed params file.</p>"
        f"<div class=scroll><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
