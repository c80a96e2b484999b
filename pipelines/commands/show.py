"""What a params file says: a run with all its settings, and whether the whole file is sound."""

from pathlib import Path

import yaml

from gen.config.load import load_params


def resolved(name: str, path: Path) -> str:
    """The run `name` as YAML, with every setting that it leaves to a default.

    Raises:
        InputError: the file is illegal, or has no such run.
    """
    run = load_params(path).run(name)
    return yaml.safe_dump({name: run.model_dump(mode="json")}, sort_keys=False, width=120)


def summary(path: Path) -> str:
    """What a sound params file has, in one line. Raises InputError for one that is not."""
    params = load_params(path)
    return f"{path}: sound; {len(params.datasets)} data sets, {len(params.runs)} runs, {len(params.sweeps)} sweeps"
