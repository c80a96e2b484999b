"""Entries of a params file for a person's own pictures: a data set, what its models are judged by, and a run.

The run's group is compared, so that there is a page of it.
"""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gen.config.load import load_params
from gen.data.formats.listing import from_folder
from gen.errors import InputError

FAMILY = "dcgan"


def add_entries(folder: Path, name: str | None, resolution: int, params: Path) -> str:
    """Add the three entries, and their group to what is compared; the file is left as it is when they would not do.

    Returns:
        What was written, and what to run now.

    Raises:
        InputError: the folder holds something else than pictures, a name is taken, or the resolution is none that
            networks have.
    """
    name = name or re.sub(r"[^a-z0-9_]+", "_", folder.resolve().name.lower()).strip("_")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise InputError(f"--name: {name!r} cannot be a folder; use small letters, digits, - and _")
    run = f"{name}_{FAMILY}"
    _, listed = from_folder(folder)
    classes = sorted({entry.label for entry in listed} - {""})
    round_trip = YAML()  # makes no objects of its own, and writes in the form that DVC's writer keeps
    values = round_trip.load(params.read_text(encoding="utf-8"))
    saved_every = load_params(params).logging.checkpoint_every
    for section, entry in (("datasets", name), ("reference", name), ("runs", run)):
        if entry in values[section]:
            raise InputError(f"{params}: {section}.{entry}: is there already; give another name with --name")
    # First in their sections: what follows the last entry of one is a comment on the next section.
    values["datasets"].insert(0, name, dataset_entry(folder, resolution))
    values["reference"].insert(0, name, reference_entry(len(classes), resolution, saved_every))
    values["runs"].insert(0, run, run_entry(name, resolution))
    values["compare"].append(name)
    partial = params.with_name(f".{params.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            round_trip.dump(values, file)
        load_params(partial)
        partial.replace(params)
    except InputError as error:
        raise InputError(str(error).replace(str(partial), str(params))) from None
    finally:
        partial.unlink(missing_ok=True)
    pictures = f"{len(listed):,} pictures" + (f" of {len(classes)} class{'es' * (len(classes) > 1)}" if classes else "")
    added = f"datasets.{name} ({pictures}), reference.{name} and runs.{run} are added"
    return f"{params}: {added}\nnow: dvc repro compare@{name}, and then open comparisons/{name}/index.html"


def dataset_entry(folder: Path, resolution: int) -> dict[str, Any]:
    """An entry of `datasets`."""
    return {
        "source": "images",
        "folder": str(folder),
        "resolution": resolution,
        "channels": 3,
        "background": [255, 255, 255],
        "validation": 0.1,
        "test": 0.1,
    }


def reference_entry(classes: int, resolution: int, saved_every: int) -> dict[str, Any]:
    """An entry of `reference`: judged by a classifier where there are classes to tell apart.

    Scores are about 250 steps apart, at steps that are saved.
    """
    judge = {"extractors": ["classifier"], "classifier_steps": 1500} if classes > 1 else {"extractors": ["pixels"]}
    return judge | {
        "resolution": resolution,
        "samples": 1000,
        "score_samples": 500,
        "score_every": saved_every * max(1, round(250 / saved_every)),
    }


def run_entry(name: str, resolution: int) -> dict[str, Any]:
    """An entry of `runs`, with networks that a laptop trains: a quarter as wide as the paper's."""
    return {
        "family": FAMILY,
        "dataset": name,
        "group": name,
        "resolution": resolution,
        "seed": 0,
        "seeds": 1,
        "steps": 4000,
        "batch_size": 64,
        "ema": 0.999,
        "warm_start": None,
        "part": None,
        "compute": {"threads": 2},
        "model": {"latent_dim": 64, "width": 32, "k": 1, "lr": 2e-4, "beta1": 0.5},
    }
