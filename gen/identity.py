"""What makes a run the same run: two of one identity end in the same weights, as far as they have come."""

import functools
import hashlib
import json
from pathlib import Path

from gen.config import Run
from gen.errors import InputError


def identity(run: Run, data_digest: str, device: str) -> str:
    """64 hex digits that differ whenever two runs would end in different weights, but for the number of steps.

    Covers the run's params, the prepared data, the code of its family and of the loop, the weights it starts from, and
    the kind of device it runs on.
    """
    params = run.model_dump(exclude={"steps", "group", "seeds"})
    start = file_digest(Path(run.warm_start) / "weights.safetensors") if run.warm_start else None
    parts = {
        "params": params,
        "data": data_digest,
        "code": code_digest(code_files(run.family)),
        "start": start,
        "device": device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_files(family: str) -> tuple[Path, ...]:
    """The source files that decide a run's weights."""
    gen = Path(__file__).parent
    loop = [
        gen / name
        for name in ("losses.py", "optimizers.py", "family.py", "loop.py", "training.py", "workers.py", "ema.py")
    ]
    order = [gen / "data" / name for name in ("loader.py", "order.py", "sections.py")]
    return (gen / "families" / f"{family}.py", *sorted((gen / "nets").glob("*.py")), *loop, *order)


def score_files() -> tuple[Path, ...]:
    """The source files that decide what a run's checkpoints are worth (gen/scores.py)."""
    gen = Path(__file__).parent
    metrics = ("frechet", "modes", "moments", "neighbours", "sliced_wasserstein")
    return (gen / "scores.py", *(gen / "metrics" / f"{name}.py" for name in metrics))


@functools.cache
def code_digest(files: tuple[Path, ...]) -> str:
    """sha256 over the contents of the files, as they were when it was first asked for: as they are in use."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file. Raises InputError when it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
