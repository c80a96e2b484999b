"""One step of a run before it starts: what a family cannot be trained with is found at once, not by its workers.

Small networks simply make it. Large ones make it on torch's meta device, whose tensors have shapes and no numbers:
nothing is computed or drawn there. What fails there may be a loss that only wants numbers, so it counts once it fails
with two real rows, and with as many as it will get, too.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from gen import export
from gen.abilities import HeldOutLoss, Phased, Samples, streams_of
from gen.blame import blame
from gen.conditions import draw, told
from gen.config.params import Run
from gen.data.dataset import Dataset
from gen.data.domains import no_domain
from gen.data.source import SPLITS
from gen.errors import InputError
from gen.families import family_file, load_family
from gen.family import Batch, DataSpec, Family, Noise
from gen.memory import memories
from gen.shapes import shapes_only
from gen.training.loop import data_spec

SMALL = 10**8
"""Weights times rows, up to which a step takes less time than torch needs to load what computes on `meta` (1.3 s)."""
REAL_ROWS = 2
"""One more than what batch norm cannot be trained with."""


def rehearse(run: Run, dataset: Dataset, where: str) -> None:
    """Make every update of the run once, with the rows that one microbatch of one worker has, and draw a sample.

    Weights are not kept, and no generator of random numbers is moved.

    Args:
        run: what is to be trained.
        dataset: what it is to be trained on.
        where: the run's address, for the error.

    Raises:
        InputError: the family's networks, losses or samples do not fit the run or the data; the cause is named.
    """
    rows = run.batch_size // run.compute.workers // run.compute.grad_accum_steps
    spec = data_spec(run, dataset)
    extras = {
        name: torch.from_numpy(np.zeros((1, *column.shape), "float32" if column.image else column.dtype))
        for name, column in spec.extras.items()
    }
    failed: Exception | None = None
    # A statistic may be of more rows than two, so what fails with two is tried with all of them.
    attempts = [(rows, "meta"), (min(rows, REAL_ROWS), "cpu"), (rows, "cpu")]
    for count, device in attempts[-1:] if rows * weights(run, spec) < SMALL else attempts:
        try:
            check_start(run, spec)
            check_streams(run, spec, dataset)
            _step(
                run,
                spec,
                {name: one.to(device).expand(count, *one.shape[1:]) for name, one in extras.items()},
                count,
                device,
            )
            return
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except Exception as error:
            failed = error
    assert failed is not None
    message = f"cannot be trained with {rows} rows at a time (batch_size / workers / grad_accum_steps)"
    raise InputError(f"{where}: {message}: {blame(failed, family_file(run.family))}") from failed


def weights(run: Run, spec: DataSpec) -> int:
    """How many numbers the run's networks learn; 0 where they cannot be built, which their first step will say."""
    with shapes_only():
        try:
            return sum(param.numel() for _, param in built(run, spec).named_parameters())
        except Exception:
            return 0


def built(run: Run, spec: DataSpec) -> Family:
    """The run's family, with its part, all of it freshly initialised. Raises InputError."""
    folder = export.model_folder(run.part) if run.part else None
    part = export.build(export.describe(folder), str(folder)) if folder else None
    return load_family(run.family, run.model, spec, part=part)


def check_start(run: Run, spec: DataSpec) -> None:
    """The model that the run begins with has the run's networks. Raises InputError."""
    if run.warm_start:
        with shapes_only():
            family = built(run, spec)
        export.check_header(export.model_folder(run.warm_start) / "weights.safetensors", family, "the run asks")


def check_streams(run: Run, spec: DataSpec, dataset: Dataset) -> None:
    """The data set has the domains that the family sees, in each of its splits. Raises InputError."""
    with shapes_only():
        family = built(run, spec)
    for domain in filter(None, streams_of(family).values()):
        for split in SPLITS:
            if (split == "train" or split in dataset.rows) and not dataset.rows.get(f"{split}.{domain}"):
                raise InputError(no_domain(run.family, domain, f"{split} split of {dataset.name}"))


def _step(run: Run, spec: DataSpec, extras: Mapping[str, Tensor], rows: int, device: str) -> None:
    """All updates' losses and gradients, and a sample. Raises whatever the family does, and InputError."""
    place = shapes_only() if device == "meta" else torch.device(device)
    with torch.random.fork_rng(devices=[]), place:
        family = built(run, spec).train()
        batch = Batch(torch.zeros(rows, *spec.image), torch.zeros(rows, dtype=torch.int64), extras)
        batch = batch._replace(others=dict.fromkeys(streams_of(family), batch))
        if isinstance(family, Phased):
            family.begin(0)
        for memory in memories(family):
            memory.make_room(rows)
        for update in family.updates():
            noise = Noise("rehearsal", rows=rows, device=device)
            losses = update.loss(batch if update.uses_batch else batch.rows(slice(0)), noise)
            if missing := set(update.optimizer_steps) - set(losses):
                message = f"has optimizer_steps {', '.join(sorted(missing))}, its loss has {', '.join(losses)}"
                raise InputError(f"{run.family}: update {update.name!r} {message}; name them alike")
            for name, move in update.optimizer_steps.items():
                torch.autograd.grad(losses[name], list(move.params), retain_graph=True, allow_unused=True)
        family.train(False)
        if not isinstance(family, Samples):
            if not isinstance(family, HeldOutLoss):
                raise InputError(f"{run.family}: without sample or held_out_loss nothing chooses its checkpoints")
            return
        with torch.no_grad():
            made = tuple(draw(family, Noise("rehearsal", rows=rows, device=device), told(family, batch)).shape)
        if made != (rows, *spec.image):
            raise InputError(f"{run.family}: samples of shape {made}; the data ask for {(rows, *spec.image)}")
