"""The numbers in the model card of a run: of its checkpoints after training, of the test split once it is evaluated.

DVC does not see the card (.dvcignore): neither training nor what depends on it is stale because a number was added.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gen import export
from gen.card import write_card
from gen.evaluation.sampling import Summary
from gen.evaluators import number_of, numbers
from pipelines.reports.tables import markdown, with_spreads

BEST_IS_CHANCE = "The checkpoint is the best of several by its validation score, which is helped by chance."


def trained_card(folder: Path, state: Mapping[str, Any]) -> None:
    """The card after training: the validation scores of its checkpoint, by which it was chosen.

    Args:
        folder: of the exported model.
        state: of the checkpoint.
    """
    scores = scores_of(state)
    table = pd.DataFrame({"value": {name: f"{value:.4g}" for name, value in scores.items()}})
    said = ""
    if scores:
        said = (
            f"{markdown(table, 'validation score')}\nAgainst the validation split, by which checkpoints are chosen. "
            "The numbers of the test split stand here once the run is evaluated."
        )
    write_card(folder, export.load(folder), numbers=said, limits=[BEST_IS_CHANCE] if scores else [])


def evaluated_card(folder: Path, measured: Mapping[str, Summary], protocol: Mapping[str, Any]) -> None:
    """The card once the run was evaluated: the numbers of the test split with their spreads, and those of real data.

    Args:
        folder: of the model of the run's first seed.
        measured: the run's numbers.
        protocol: how they were taken, as evaluate@ writes it.
    """
    known, floors = numbers(), protocol["floor"]
    rows: dict[str, dict[str, str]] = {}
    for metric, one in measured.items():
        kind = known.get(number_of(metric) or "")
        if kind is None or not kind.shown:
            continue
        floor = floors.get(metric)
        rows[metric.replace("_", " ")] = {
            "value": with_spreads(*one),
            "real data": with_spreads(floor["mean"], floor["sd_draws"], None) if floor else "",
            "better": kind.better,
            "what it says": kind.says,
        }
    trainings = len(protocol["trainings"])
    spread = (
        f"± is the spread over {trainings} trainings with different seeds" if trainings > 1 else "It was trained once"
    )
    text = (
        f"{markdown(pd.DataFrame.from_dict(rows, orient='index'), 'number')}\nOf {protocol['samples']:,} samples "
        f"against the {protocol['real_images']:,} images of the test split. {spread}; in brackets is the spread over "
        f"{protocol['seeds']} draws from the same weights. The column of real data has the same numbers of held-out "
        "real images in place of samples: what a perfect model would have. FID and the like compare only with numbers "
        "of the same extractor, data and number of images."
    )
    found = [
        {"name": metric, "type": "fid" if metric.startswith("fid") else metric, "value": float(f"{one.mean:.4g}")}
        for metric, one in measured.items()
        if metric.replace("_", " ") in rows
    ]
    few = f"The test split has {protocol['real_images']:,} images."
    write_card(folder, export.load(folder), numbers=text, measured=found, limits=[BEST_IS_CHANCE, few])


def scores_of(state: Mapping[str, Any]) -> dict[str, float]:
    """The validation scores of a checkpoint, by their short names."""
    rows: Sequence[Mapping[str, float]] = state["history"]
    found = {name: value for row in rows if row["step"] == state["steps_done"] for name, value in row.items()}
    return {name.removeprefix("validation/"): value for name, value in found.items() if name.startswith("validation/")}
