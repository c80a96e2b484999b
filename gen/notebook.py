"""Training from a notebook: a family's name or a run, a data set, and a plain function that gets the metrics."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen import export
from gen.abilities import streams_of
from gen.conditions import shown
from gen.config.params import Compute, Run
from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.errors import InputError
from gen.families import check_family, family_module, family_names
from gen.family import Batch
from gen.figures.grid import grid
from gen.model import Model, whole
from gen.settings import check, meant, nearest
from gen.training.journal import SPLIT, Diverged
from gen.training.loop import data_spec
from gen.training.rehearsal import rehearse
from gen.training.train import QUIET
from gen.training.train import train as train_family

Callback = Callable[[int, Mapping[str, float]], object]


def run_of(family: str, dataset: Dataset, **changes: Any) -> Run:
    """A run of a family on a data set. What `changes` leaves out has its default: of the family's own, the paper's.

    Args:
        family: its file in gen/families.
        dataset: what it is trained on.
        changes: fields of a run (`steps`, `batch_size`, `resolution`, `seed`, ...), of its `compute`, or of the
            family's own settings.

    Raises:
        InputError: there is no such family or field, or a value is illegal.
    """
    if family not in family_names():
        raise InputError(f"family: unknown family {family!r}; {nearest(str(family), family_names())}")
    check_dataset(dataset)
    kinds = (family_module(family).Config, Run, Compute)
    known = {name for kind in kinds for name in kind.model_fields}
    for name in changes.keys() - known:
        field = next(filter(None, (meant(name, kind) for kind in kinds)), "")
        raise InputError(f"{family}.{name}: unknown; {f'did you mean {field}?' if field else nearest(name, known)}")
    compute = {name: changes.pop(name) for name in list(changes) if name in Compute.model_fields}
    own = {name: changes.pop(name) for name in list(changes) if name not in Run.model_fields}
    values: dict[str, Any] = {
        "family": family,
        "dataset": dataset.name,
        "group": "notebook",
        "steps": 1000,
        "ema": 0.995,
        "compute": compute,
        "model": own,
    }
    run = check(Run, values | changes, "run")
    return run.model_copy(update={"model": check_family(family, run.model, family).model_dump()})


def check_dataset(dataset: object) -> None:
    """Raises InputError for what is no data set: arrays, or the name of one."""
    if not isinstance(dataset, Dataset):
        remedy = "gen.open_dataset(folder), or gen.dataset_of(images, labels, folder=...)"
        raise InputError(f"dataset: {type(dataset).__name__} is no data set; give {remedy}")


def check_device(wanted: str) -> None:
    """Raises InputError when this machine has no such device."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, True):
        raise InputError(f"device: {wanted}: this machine has none; use auto or cpu")


class FunctionCallback:
    """A gen.training.journal.Callback that passes numbers on to a function."""

    def __init__(self, callback: Callback | None) -> None:
        self.callback = callback

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """To the function."""
        if self.callback is not None:
            self.callback(step, values)

    def grid(self, step: int, images: Float[Tensor, "n c h w"], name: str) -> None:
        """Nothing."""

    def stop(self) -> bool:
        """Never."""
        return False


def train(
    what: str | Run, dataset: Dataset, *, callback: Callback | None = None, every: int = 100, **changes: Any
) -> Model:
    """Train a family, in this process.

    Args:
        what: a family's name, or a run such as `gen.load_params("params.yaml").run("digits_dcgan")`.
        dataset: what to train it on.
        callback: called with the number of steps done, and by name losses and speed, or scores on the validation split.
        every: steps between two calls.
        changes: as of `run_of`; for a family's name alone.

    Raises:
        InputError: the run does not fit the data or the machine, or its losses are not finite any more.
    """
    if isinstance(what, Run) and changes:
        raise InputError(f"{', '.join(changes)}: a run has all its settings; give a family's name, or change the run")
    check_dataset(dataset)
    run = what if isinstance(what, Run) else run_of(what, dataset, **changes)
    check_device(run.compute.device)
    logging = QUIET.model_copy(update={"metrics_every": whole(every, "every")})
    rehearse(run, dataset, run.family)
    try:
        family = train_family(run, dataset, logging=logging, callback=FunctionCallback(callback))
    except Diverged as error:
        raise InputError(f"{run.family}: diverged: {error}; lower the learning rate") from None
    spec = data_spec(run, dataset)

    def held_out(rows: int) -> Batch:
        streams = streams_of(family)
        return Loader(dataset, SPLIT, batch_size=rows, seed=run.seed, resolution=run.resolution, streams=streams)[0]

    return Model(
        family=family,
        name=run.family,
        settings=run.model,
        data=spec,
        classes=dataset.classes,
        examples=shown(family, spec, held_out).condition,
        notes={
            "dataset": {"name": dataset.name, "digest": dataset.digest, "classes": list(dataset.classes)},
            "step": run.steps,
            **({"part": export.describe(export.model_folder(run.part))} if run.part else {}),
        },
    )


def show(images: Float[Tensor, "n c h w"], columns: int = 8) -> Image.Image:
    """One picture of all images, which a notebook displays.

    Raises:
        InputError: they are no batch of images, or there is no such number of columns.
    """
    if not isinstance(images, Tensor):
        raise InputError(f"images: {type(images).__name__}; give a tensor, such as model.sample(64)")
    if images.ndim != 4 or not len(images) or images.shape[1] not in (1, 2, 3):
        raise InputError(f"images of shape {tuple(images.shape)}; give some of (n, channels, height, width)")
    return grid(images.detach().float().cpu(), whole(columns, "columns"))
