"""A params file read and checked whole, before anything is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gen.config.consistency import (
    check_built,
    check_extractors,
    check_groups,
    check_models,
    check_names,
    check_run,
    check_sweeps,
)
from gen.config.file import read_params
from gen.config.params import Classification, Exploration, Params, Reference, Run
from gen.config.sweep import Axis, Sweep, refuse_nested
from gen.data.source import check_dataset
from gen.settings import Settings, check

ENTRIES: Mapping[str, type[Settings]] = {
    "reference": Reference,
    "runs": Run,
    "svm": Classification,
    "explore": Exploration,
    "sweeps": Sweep,
}
"""What the entries of these sections are."""


def load_params(path: Path | str) -> Params:
    """A params file, read and checked whole, each run's model section by its family, each data set by its source.

    Raises:
        InputError: the file is missing, not YAML or has a name twice, or a field is unknown, missing or out of range.
    """
    path = Path(path)
    values = read_params(path)
    if isinstance(values, dict):
        check_entries(values, str(path))
    params = check(Params, values, str(path))
    for name, dataset in params.datasets.items():
        check_dataset(dataset, f"{path}: datasets.{name}")
    runs = {name: check_run(run, params, f"{path}: runs.{name}") for name, run in params.runs.items()}
    params = params.model_copy(update={"runs": runs})
    for name, run in runs.items():
        check_models(name, params, str(path))
        check_built(run, params, f"{path}: runs.{name}")
    check_names(params, str(path))
    check_extractors(params, str(path))
    check_groups(params, str(path))
    check_sweeps(params, str(path))
    return params


def check_entries(values: Mapping[str, Any], where: str) -> None:
    """Each entry for itself, so that an unknown field is answered with the entry's own. Raises InputError."""
    for part, kind in ENTRIES.items():
        entries = values.get(part)
        for name, section in entries.items() if isinstance(entries, dict) else ():
            space = section.get("space") if isinstance(section, dict) else None
            if kind is Sweep and isinstance(section, dict):
                refuse_nested(section, f"{where}: {part}.{name}")
            if kind is Sweep and isinstance(space, dict):
                for path, axis in space.items():
                    check(Axis, axis, f"{where}: {part}.{name}.space.{path}")
            check(kind, section, f"{where}: {part}.{name}")
