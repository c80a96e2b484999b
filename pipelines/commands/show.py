"""What a params file says: a run with all its settings, and whether the whole file is sound."""

from pathlib import Path

import yaml

from gen.config.file import read_params
from gen.config.load import load_params
from gen.errors import InputError

BY_DVC = ("warm_start", "part")
"""Fields of every run that dvc.yaml reads; DVC knows no defaults."""


def resolved(name: str, path: Path) -> str:
    """The run `name` as YAML, with every setting that it leaves to a default.

    Raises:
        InputError: the file is illegal, or has no such run.
    """
    run = load_params(path).run(name)
    return yaml.safe_dump({name: run.model_dump(mode="json")}, sort_keys=False, width=120)


def summary(path: Path) -> str:
    """What a sound params file has, in one line. Raises InputError for one that is not, or that DVC could not read."""
    params = load_params(path)
    for name, run in read_params(path)["runs"].items() if path.with_name("dvc.yaml").exists() else ():
        if lacking := [f"`{field}:`" for field in BY_DVC if field not in run]:
            message = f"without {' and '.join(lacking)} DVC cannot read dvc.yaml; add what is missing, without a value"
            raise InputError(f"{path}: runs.{name}: {message}")
    return f"{path}: sound; {len(params.datasets)} data sets, {len(params.runs)} runs, {len(params.sweeps)} sweeps"
