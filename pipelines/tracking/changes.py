"""What is tried: how a run differs from what the params file had when it was committed."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gen.config.params import Run, flat
from gen.config.sweep import label
from gen.errors import InputError
from gen.families import check_family
from gen.settings import check

NAMED = 3
"""How many changed hyperparameters a run's name has."""


def experiment() -> str:
    """DVC's name of the experiment that this process is a stage of; "" when there is none."""
    return os.environ.get("DVC_EXP_NAME", "")


def changes(run: Run, name: str, path: Path) -> dict[str, Any]:
    """What the run has different from the committed params file, by path; nothing for a run that is not in it.

    Args:
        run: as it is now.
        name: its entry of `runs`.
        path: the params file, relative to the working directory.
    """
    earlier = committed(path).get(name)
    if not isinstance(earlier, dict):
        return {}
    try:
        then = check(Run, earlier, name)
        before = flat(then.model_dump() | {"model": check_family(then.family, then.model, name).model_dump()})
    except InputError:  # an older version's
        return {}
    now = flat(run.model_dump())
    return {key: now.get(key) for key in {**now, **before} if now.get(key) != before.get(key)}


def committed(path: Path) -> Mapping[str, Any]:
    """The section `runs` of the params file in the commit that an experiment starts from, else in HEAD; {} without."""
    commit = os.environ.get("DVC_EXP_BASELINE_REV") or "HEAD"
    try:
        found = subprocess.run(["git", "show", f"{commit}:./{path}"], capture_output=True, check=True).stdout
        runs = yaml.safe_load(found)["runs"]
    except (OSError, subprocess.CalledProcessError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return runs if isinstance(runs, dict) else {}


def in_words(changed: Mapping[str, Any]) -> str:
    """A few of the changes: `clip=0.02 lr=0.001`; "" for none."""
    few = label(dict(list(changed.items())[:NAMED]))
    return f"{few} and {len(changed) - NAMED} more" if len(changed) > NAMED else few
