"""models/<group>/<run>: what a finished run leaves for people and for later stages."""

import csv
import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field

from gen import export as exporting
from gen.abilities import Inference, Samples, streams_of
from gen.conditions import SHOWN, draw, shown
from gen.config.params import Run, flat
from gen.data.dataset import Dataset
from gen.data.folder import room_for
from gen.data.loader import Loader
from gen.errors import InputError
from gen.family import Batch, Noise
from gen.figures.film import gif
from gen.figures.grid import alternating, grid, png
from gen.settings import Settings, check
from gen.training.checkpoint import GRIDS, Checkpoints
from gen.training.journal import PAIRS, SPLIT
from gen.training.loop import data_spec, finished_family
from pipelines.reports.model_card import trained_card

SPEEDS = {"steps_per_second", "images_per_second", "seconds", "scoring_share_of_time"}
"""What a run records of the machine rather than of the model: in MLflow, but no metrics of DVC."""
SEEDS = "seeds"
"""Folder inside a run's, of the models of its further seeds."""
FILM, FRAMES, FILM_FPS = "training.gif", 100, 4
"""The film of a training, the most pictures in it, and how many of them are shown in a second."""


class Origin(Settings, extra="ignore"):
    """What a model was trained on."""

    name: str
    """The data set's name in params.yaml."""
    digest: str
    """Of its prepared rows."""


class Trained(Settings, extra="ignore"):
    """What model.json says of a model that a run has left, besides what it takes to build it."""

    family: str
    """Its file in gen/families."""
    image: tuple[int, int, int]
    """Channels, height, width."""
    run: str
    """Which training: <run>, or <run>-seed<seed>."""
    attempt: str
    """Names the MLflow run."""
    step: int
    """The checkpoint it is."""
    averaged: bool
    """Whether its weights are an average over steps."""
    dataset: Origin
    """It was trained on this."""
    hyperparameters: Mapping[str, Any] = Field(default_factory=dict)
    """Those of its run, flat; empty in models of older versions."""
    seconds: float | None = None
    """How long it was trained, with its scores, however often it was interrupted; None in models of older versions."""


def trainings(folder: Path) -> list[Path]:
    """The models of a run, one for each of its seeds; that of the first seed first."""
    return [folder, *sorted((folder / SEEDS).glob("[0-9]*"), key=lambda path: int(path.name))]


def trained(group: str, name: str) -> tuple[Path, Trained]:
    """The folder of a run's model, that of its first seed, and what it says of itself.

    Raises:
        InputError: there is none, it is not whole, or it is another run's.
    """
    folder = Path("models") / group / name
    found = read_model_json(folder, name)
    if found.run != name:
        raise InputError(f"{folder}/model.json: the model of run {found.run!r}; run dvc repro -s -f train@{name}")
    return folder, found


def read_model_json(folder: Path, run: str) -> Trained:
    """What a model's folder says of itself. Raises InputError, which names the stage of `run`, when it is not whole."""
    described = exporting.describe(folder)
    try:
        return check(Trained, described, f"{folder}/model.json")
    except InputError as error:
        raise InputError(f"{error}; run dvc repro -s -f train@{run}") from None


def weights_digest(folder: Path) -> str:
    """sha256 of a model's weights: what a measurement is of. Raises InputError when there are none."""
    path = folder / "weights.safetensors"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        run = folder.parent.parent if folder.parent.name == SEEDS else folder
        raise InputError(f"{path}: {error.strerror}; run dvc repro -s -f train@{run.name}") from None


def export(folder: Path, run: Run, dataset: Dataset, checkpoints: Checkpoints, attempt: str) -> Path:
    """Write the models of the best checkpoint and, in `last`, of the last one.

    The folder holds weights.safetensors, conditions.safetensors, model.json, grid.png and README.md; the same in
    `last`; metrics.json, curves/<loss>.csv, grids/<name>-<step>.webp, and training.gif, a film of those of the samples.

    Args:
        folder: to write to; it is returned.
        run: what was trained.
        dataset: what it was trained on.
        checkpoints: its checkpoints, of which the newest is of the last step.
        attempt: names the MLflow run.

    Raises:
        InputError: there is no whole checkpoint, or no room for the models.
    """
    name = checkpoints.run
    last = checkpoints.newest()
    if last is None:
        raise InputError(f"{checkpoints.root}: no whole checkpoint; run dvc repro -f train@{name}")
    best = checkpoints.at(last["best"][0]) if last["best"] else None
    if last["best"] and best is None:
        print(f"warning: {name}: the best checkpoint, of step {last['best'][0]}, is damaged; the last one stands in")
    seconds = last["history"][-1].get("seconds") if last["history"] else None
    notes = {
        "run": name,
        "identity": checkpoints.identity,
        "attempt": attempt,
        "hyperparameters": flat(run.model_dump()),
        "seconds": seconds,
    }
    with room_for(folder):
        (folder / "model.json").unlink(missing_ok=True)  # until it is there again, the folder is no model
        write_curves(folder / "curves", last["history"])
        (folder / "metrics.json").write_text(json.dumps(summary(name, last), indent=2) + "\n", encoding="utf-8")
        write_grids(folder, checkpoints)
        write_model(folder / "last", run, dataset, last, notes)
        write_model(folder, run, dataset, best or last, notes)
    return folder


def write_model(folder: Path, run: Run, dataset: Dataset, state: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Export the family of a checkpoint, with a grid of its samples.

    Of one that does not sample the grid has validation images, each with its reconstruction behind it where there is an
    encoder.
    """
    family, spec = finished_family(run, dataset, state), data_spec(run, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    condition = None

    def held_out(rows: int) -> Batch:
        streams = streams_of(family)
        return Loader(dataset, SPLIT, batch_size=rows, seed=run.seed, resolution=run.resolution, streams=streams)[0]

    with torch.inference_mode():
        if isinstance(family, Samples):
            some = shown(family, spec, held_out)
            condition = some.condition
            images = some.pictures(family, draw(family, Noise(run.seed, "grid", rows=some.rows), condition))
        elif isinstance(family, Inference):
            held = held_out(PAIRS).images
            images = alternating(held, family.decode(family.encode(held)))
        else:
            images = held_out(SHOWN).images
    (folder / "grid.png").write_bytes(png(grid(images)))
    exporting.save(
        folder,
        family,
        run.family,
        run.model,
        spec,
        condition=condition,
        part=exporting.describe(exporting.model_folder(run.part)) if run.part else None,
        dataset={"name": dataset.name, "digest": dataset.digest, "classes": list(dataset.classes)},
        step=state["steps_done"],
        averaged=run.ema is not None,
        **notes,
    )
    trained_card(folder, state)


def write_grids(folder: Path, checkpoints: Checkpoints) -> None:
    """The pictures that were drawn in training, grids/<name>-<step>.webp, and a film of those of the samples."""
    (folder / FILM).unlink(missing_ok=True)
    shutil.rmtree(folder / GRIDS, ignore_errors=True)
    (folder / GRIDS).mkdir(parents=True)
    for name, content in checkpoints.grids():
        (folder / GRIDS / name).write_bytes(content)
    samples = sorted((folder / GRIDS).glob("samples-*.webp"), key=lambda path: int(path.stem.rpartition("-")[2]))
    if len(samples) > 1:
        # The last is always among them.
        pictures = [Image.open(path).convert("RGB") for path in samples[:: -len(samples) // FRAMES][::-1]]
        (folder / FILM).write_bytes(gif(pictures, fps=FILM_FPS))


def write_curves(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One CSV of step and value for each loss and validation score: what `dvc plots` shows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = {name for row in history for name in row if name.startswith(("loss/", "validation/"))}
    for name in sorted(names):
        short = name.rpartition("/")[2]
        with (folder / f"{short}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["step", short])
            writer.writerows([row["step"], row[name]] for row in history if name in row)


def summary(run: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The last value of everything recorded of the model, nested by its name's parts: what `dvc metrics` shows.

    Says so in one line, and leaves it out, when one is not finite: the norm of a huge gradient, say.
    """
    last: dict[str, float] = {}
    for row in state["history"]:
        last |= row
    if state["best"]:
        last |= dict(zip(("best/step", "best/score"), state["best"], strict=True))
    nested: dict[str, Any] = {}
    for name, value in last.items():
        if name in SPEEDS:
            continue
        if not math.isfinite(value):
            print(f"warning: {run}: {name} is {value} in the end; lower the learning rate or what multiplies losses")
            continue
        section, _, short = name.rpartition("/")
        (nested.setdefault(section, {}) if section else nested)[short] = value
    return nested
