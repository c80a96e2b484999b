"""Runs that train in milliseconds, on real digits or generated points."""

from pathlib import Path
from typing import Any

import gen.families
from gen import export
from gen.config.params import Compute, Logging, Run
from gen.data.dataset import Dataset
from gen.data.prepare import prepare
from gen.family import ImageShape
from gen.training.loop import data_spec
from gen.training.train import train
from tests.families.small import IMAGES, POINTS, small

COMPUTE = Compute(
    workers=1,
    threads=1,
    device="cpu",
    precision="float32",
    channels_last=False,
    compile=False,
    grad_accum_steps=1,
)
DIGITS = {"source": "digits", "resolution": 16, "validation": 200, "test": 297, "input": {"kind": "inverse"}}
UNPAIRED = {**DIGITS, "domains": {"input": "3", "target": "8"}}
del UNPAIRED["input"]
RING = {"source": "points", "shape": "ring8", "rows": 500, "validation": 100, "test": 100, "seed": 0}
DATASETS: dict[str, dict[str, Any]] = {"digits": DIGITS, "digits_unpaired": UNPAIRED, "ring8": RING}


def prepared(folder: Path, name: str = "digits") -> Dataset:
    """One of DATASETS, below `folder`; the current folder must be a scratch one."""
    raw = folder / "raw" / name
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "PROVENANCE.json").write_text('{"files": []}')
    return prepare(name, DATASETS[name], name, raw, folder / "prepared" / name)


def run_of(family: str, image: ImageShape | None = None, **changes: Any) -> Run:
    """A run of the family's small settings; `changes` may name fields of the run, of its compute, and of its model."""
    settings, shape = small(family, image)
    compute = {key: changes.pop(key) for key in list(changes) if key in Compute.model_fields}
    model = {key: changes.pop(key) for key in list(changes) if key in settings}
    images = "digits_unpaired" if hasattr(gen.families.family_module(family).Model, "streams") else "digits"
    values: dict[str, Any] = {
        "family": family,
        "dataset": "ring8" if shape == POINTS else images,
        "group": "test",
        "resolution": None,
        "seed": 3,
        "steps": 8,
        "batch_size": 8,
        "ema": 0.9,
        "warm_start": None,
        "part": None,
        "compute": COMPUTE.model_copy(update=compute),
        "model": settings | model,
    }
    return Run(**values | changes)


def know_test_families() -> None:
    """Files of tests/training/families are families, too, in this process from now on."""
    own = str(Path(__file__).with_name("families"))
    if own not in gen.families.__path__:
        gen.families.__path__.append(own)


def remembering(**changes: Any) -> Run:
    """A run of the family that remembers rows and changes with the step."""
    know_test_families()
    run = run_of("gan", IMAGES, **changes)
    return run.model_copy(update={"family": "remembering", "model": {}})


def inverting(part: Path | str | None, **changes: Any) -> Run:
    """A run of the family that is made with a trained decoder, that of the model in the folder `part`."""
    know_test_families()
    run = run_of("gan", IMAGES, **changes)
    return run.model_copy(update={"family": "inverting", "model": {}, "part": part and str(part)})


def matching(**changes: Any) -> Run:
    """A run of the family that sees mismatched pairs."""
    know_test_families()
    run = run_of("gan", IMAGES, **changes)
    return run.model_copy(update={"family": "matching", "model": {"domain": ""}})


def exported(folder: Path, run: Run, dataset: Dataset) -> Path:
    """The trained model of a run, exported to a folder."""
    family = train(run, dataset)
    export.save(folder, family, run.family, run.model, data_spec(run, dataset))
    return folder


def logging(**changes: int) -> Logging:
    """Records every 2 steps, checkpoints every 4."""
    usual = {"metrics_every": 2, "grid_every": 4, "checkpoint_every": 4, "keep_checkpoints": 2, "profile_steps": 0}
    return Logging(**usual | changes)
