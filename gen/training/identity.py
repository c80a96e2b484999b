"""What makes a run the same run: two of one identity end in the same weights, as far as they have come."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gen.code import code_digest
from gen.config.params import Run
from gen.errors import InputError
from gen.export import describe, model_folder


def identity(run: Run, data_digest: str, device: str) -> str:
    """64 hex digits that differ whenever two runs would end in different weights, but for the number of steps.

    Covers the run's params, also those left to their defaults, the prepared data, the code of its family and of the
    loop, the weights it starts from, its part, and the kind of device it runs on.
    """
    params = run.model_dump(exclude={"steps", "group", "seeds"})
    models = {field: model_folder(name) for field in ("warm_start", "part") if (name := getattr(run, field))}
    frozen = [f"gen.families.{family}" for family in families_of(describe(models["part"]))] if run.part else []
    parts = {
        "params": params,
        "data": data_digest,
        "code": code_digest(*weights_code(run.family), *frozen),
        "models": {field: file_digest(folder / "weights.safetensors") for field, folder in models.items()},
        "device": device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def weights_code(family: str) -> tuple[str, ...]:
    """Where the code that decides a run's weights begins: the family's file, and the loop.

    Not in gen/training/train.py, which repeats the loop's step to the run's last, and keeps the record and the scores.
    """
    return f"gen.families.{family}", "gen.training.loop"


def families_of(described: Mapping[str, Any]) -> list[str]:
    """The family of a model.json, and that of its part."""
    inner = described.get("part")
    return [described["family"], *(families_of(inner) if inner else [])]


def file_digest(path: Path) -> str:
    """sha256 of a file. Raises InputError when it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
