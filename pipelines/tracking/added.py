"""Adds to MLflow what stages find out of trained models; what it cannot be told now is kept until it can."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.runtime.background import UPLOAD_SECONDS
from pipelines.runtime.patience import within, within_a_minute
from pipelines.tracking import results, unsent
from pipelines.tracking.store import connect, experiment_id, in_short, later, peer, warn


def add_to_run(group: str, name: str, attempt: str, metrics: Mapping[str, float], folder: Path) -> None:
    """Add what was found out later to the run that trained a model: metrics, and the files of a folder.

    The files are kept by the folder's path without group and run: those of evaluations/<group>/svm/<run> are in
    evaluations/svm.
    Says so in one line when MLflow does not answer or has no such run; nothing else depends on it.
    """
    where = str(Path(folder.parts[0], *folder.parts[2:-1]))
    told = {"group": group, "name": name, "attempt": attempt, "metrics": dict(metrics), "where": where}
    _add("results", group, name, folder, told | {"at": int(time.time() * 1000)})


def add_comparison(group: str, folder: Path) -> None:
    """Keep the comparison of a group as the files of a run, of which there is one, and describe the group by it."""
    _add("comparison", group, f"comparison of {group}", folder, {"group": group})


def _add(kind: str, group: str, name: str, folder: Path, told: Mapping[str, Any]) -> None:
    """Send it, after what waits; or keep it."""

    def send() -> None:
        unsent.send_waiting()
        results.SENDERS[kind](folder, **told)

    try:
        within_a_minute(peer(), lambda: experiment_id(connect(), group))
        within(UPLOAD_SECONDS, peer(), send)
    except Exception as error:  # MLflow's, the network's or the database's: what was found out stands without it
        remedy = later()
        if not unsent.refused(error):
            remedy = unsent.kept_or(remedy, lambda: unsent.keep(kind, name, told, [folder]))
        warn(f"lacks {folder}: {in_short(error)}; {remedy}")
