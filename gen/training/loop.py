"""What a step of training is: a family before its first step, every update of a step, the family of a checkpoint."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen import export
from gen.abilities import Phased, streams_of
from gen.conditions import draw
from gen.data.dataset import Dataset
from gen.data.loader import Loader, spec_of
from gen.errors import InputError
from gen.families import load_family
from gen.family import Batch, Condition, DataSpec, Family, Losses, Noise, Update, seed_of
from gen.memory import memories
from gen.metrics.neighbours import spans
from gen.training.ema import moving_average
from gen.training.gradients import add, apply, clip
from gen.training.weights import digest_of, statistics
from gen.training.workers import SINGLE_PROCESS, Workers

if TYPE_CHECKING:
    from gen.config.params import Run


def data_spec(run: "Run", dataset: Dataset) -> DataSpec:
    """What the run's family is told of the data set: its shape, padded as the run's is, its classes, its extras."""
    return spec_of(dataset, run.resolution)


def initial_family(run: "Run", dataset: Dataset) -> Family:
    """The run's family before its first step, on the CPU: a function of its seed, or of other models."""
    with torch.random.fork_rng(devices=[]):
        part = export.load(export.model_folder(run.part)) if run.part else None
        torch.manual_seed(seed_of(run.seed, "init"))
        family = load_family(run.family, run.model, data_spec(run, dataset), part=part)
    if run.warm_start:
        own = {name: tensor.clone() for name, tensor in part.state_dict().items()} if part else {}
        export.load_weights(export.model_folder(run.warm_start), family)
        if part is not None:  # the one that the run names, whichever the other model had
            part.load_state_dict(own)
    return family


class Loop:
    """A family, its optimizers and its place in the data: all that a step changes."""

    def __init__(
        self,
        run: "Run",
        family: Family,
        dataset: Dataset,
        workers: Workers = SINGLE_PROCESS,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.run = run
        self.family = family.train()
        self.workers = workers
        self.dtype = dtype
        self.dataset = dataset
        self.data = data_spec(run, dataset)
        self.device = next(param for _, param in family.named_parameters()).device
        self.loader = self.batches("train", run.batch_size)
        empty = torch.empty(0, *self.loader.shape, device=self.device, dtype=dtype)
        self.nothing = Batch(empty, torch.empty(0, dtype=torch.int64, device=self.device))
        """What a loss gets that does not look at the batch."""
        if run.compute.channels_last:
            family.to(memory_format=torch.channels_last)
        if run.compute.compile:
            compile_networks(family)
        self.updates = list(family.updates())
        self.optimizer_steps = [
            (update, name, move) for update in self.updates for name, move in update.optimizer_steps.items()
        ]
        self.optimizers = {
            (update.name, name): move.optimizer(list(move.params)) for update, name, move in self.optimizer_steps
        }
        self.average = moving_average(run, family, self.updates)
        # Averaged with the gradients, so that every worker always holds the same family.
        self.statistics = statistics(family)
        self.memories = memories(family)
        for memory in self.memories:
            memory.make_room(run.batch_size)
        self.steps_done = 0
        self.batches_used = 0
        self.norms: dict[str, Tensor] = {}

    def batches(self, split: str, batch_size: int, alone: bool = False) -> Loader:
        """This worker's rows of the global batches of a split; all of them when it loads `alone`."""
        return Loader(
            self.dataset,
            split,
            batch_size=batch_size,
            seed=self.run.seed,
            resolution=self.run.resolution,
            device=self.device,
            rank=0 if alone else self.workers.rank,
            world_size=1 if alone else self.workers.world_size,
            dtype=self.dtype,
            channels_last=self.run.compute.channels_last,
            streams=streams_of(self.family),
        )

    def step(self, measure: bool = False) -> Losses:
        """Every update once, as often as it repeats; `measure` keeps the norms of the gradients.

        Returns:
            The losses of all updates, averaged over workers.
        """
        message: dict[str, Tensor] = {}
        if isinstance(self.family, Phased):
            self.family.begin(self.steps_done)
        for update in self.updates:
            for repetition in range(update.repeats(self.steps_done)):
                message.update(self.run_update(update, repetition, measure))
        self.average.update(self.steps_done)
        self.steps_done += 1
        return message

    def run_update(self, update: Update, repetition: int, measure: bool) -> Losses:
        """One update: one forward, all gradients taken, then every move made."""
        batch = self.loader[self.batches_used] if update.uses_batch else self.nothing
        self.batches_used += update.uses_batch
        losses, gradients = self.gradients(update, batch, repetition)
        found = [gradient for each in gradients.values() for gradient in each if gradient is not None]
        self.workers.average([*found, *losses.values(), *self.statistics])
        for name, move in update.optimizer_steps.items():
            if measure or move.max_norm is not None:
                self.norms[name] = clip(gradients[name], move.max_norm)
            apply(move, gradients[name], self.optimizers[update.name, name], self.steps_done)
        with torch.no_grad():
            update.post_step(losses)
        return losses

    def gradients(
        self, update: Update, batch: Batch, repetition: int
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor | None]]]:
        """Losses and gradients by name, each the mean over this worker's microbatches."""
        parts = self.run.compute.grad_accum_steps
        losses: dict[str, Tensor] = {}
        gradients: dict[str, list[Tensor | None]] = {}
        for part in range(parts):
            noise, rows = self.noise(update, repetition, part)
            with self.autocast():
                some = update.loss(batch.rows(rows) if parts > 1 else batch, noise)
            for position, (name, move) in enumerate(update.optimizer_steps.items()):
                again = position + 1 < len(update.optimizer_steps)
                taken = torch.autograd.grad(some[name], list(move.params), retain_graph=again, allow_unused=True)
                gradients[name] = add(gradients.get(name), taken, 1 / parts)
            for name, loss in some.items():
                scaled = loss.detach() / parts
                losses[name] = losses[name] + scaled if name in losses else scaled
        return losses, gradients

    def noise(self, update: Update, repetition: int, part: int) -> tuple[Noise, slice]:
        """The noise of one microbatch, and its rows within this worker's share of the batch."""
        rank, world_size, total = self.workers.rank, self.workers.world_size, self.run.batch_size
        share = total // world_size // self.run.compute.grad_accum_steps
        rows = slice(part * share, (part + 1) * share)
        take = slice(rank + world_size * rows.start, min(rank + world_size * rows.stop, total), world_size)
        key = (self.run.seed, "train", self.steps_done, update.name, repetition)
        seed_torch(seed_of(*key, rank, part), self.device)
        return Noise(*key, rows=total, take=take, device=self.device, dtype=self.dtype), rows

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision losses are computed in."""
        if self.run.compute.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def sample(
        self, *key: int | str, rows: int, take: slice = slice(None), condition: Condition | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Samples in evaluation mode, with the averaged weights; a function of the weights, the key and the row.

        `condition` is of the rows that are taken.
        """
        noise = Noise(self.run.seed, *key, rows=rows, take=take, device=self.device, dtype=self.dtype)
        with self.evaluating():
            return draw(self.family, noise, condition and condition.to(self.device))

    def held_out(self, split: str, rows: int) -> Batch:
        """So many rows of a split that is not trained on, all of them on this worker; always the same."""
        return next(self.held_out_parts(split, rows, rows))

    def held_out_parts(self, split: str, rows: int, at_once: int) -> Iterator[Batch]:
        """The rows of `held_out`, so many at once: of large images memory has no room for all."""
        loader = self.batches(split, at_once, alone=True)
        for index, part in enumerate(spans(rows, at_once)):
            yield loader[index].rows(slice(part.stop - part.start))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The family is in evaluation mode inside the block, with its averaged weights and without gradients."""
        self.family.train(False)
        with torch.no_grad(), self.average.applied():
            yield
        self.family.train()

    def finite(self) -> bool:
        """Whether every weight is."""
        params = [param.detach() for _, param in self.family.named_parameters()]
        return bool(torch.stack(torch._foreach_norm(params)).isfinite().all())

    def check_agreement(self) -> None:
        """Every worker is at the same step with the same weights, or all of them raise InputError.

        A worker whose machine does not reach the storage would begin anew beside others that go on.
        """
        mine = torch.stack([torch.tensor(self.steps_done), digest_of(self.family)])
        found = self.workers.gather(mine, self.device)
        if any(not torch.equal(one, mine) for one in found):
            steps = ", ".join(str(int(one[0])) for one in found)
            raise InputError(
                f"workers do not start from one state (steps {steps}): every machine has to reach cluster.storage"
            )

    def state(self) -> dict[str, Any]:
        """All of it, to be saved. Every worker calls it: each remembers its own rows."""
        for memory in self.memories:
            self.workers.share_rows(memory.values)
        return {
            "memories": [memory.values for memory in self.memories],
            "steps_done": self.steps_done,
            "batches_used": self.batches_used,
            "family": self.family.state_dict(),
            "average": self.average.state(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers.values()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """All of it, as it was saved."""
        self.steps_done = state["steps_done"]
        self.batches_used = state["batches_used"]
        self.family.load_state_dict(state["family"])
        self.average.restore(state["average"])
        for memory, values in zip(self.memories, state["memories"], strict=True):
            memory.values.copy_(values)
        for optimizer, saved in zip(self.optimizers.values(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's own generator of the device, so that a run resumes to the bit even if a family draws from it.

    Ours do not: what they draw from Noise is equal on any number of workers, too.

    torch.manual_seed would seed every kind of device there might be, and note a stack trace for each that is not there:
    0.2 ms, twice in each step of a GAN.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        getattr(torch, device.type).manual_seed(seed)


def finished_family(run: "Run", dataset: Dataset, state: Mapping[str, Any]) -> Family:
    """The family of a checkpoint's state, as `train` returns it, on the CPU."""
    family = initial_family(run, dataset)
    family.load_state_dict(state["family"])
    average = moving_average(run, family, family.updates())
    average.restore(state["average"])
    average.swap()
    return family.train(False)


def compile_networks(family: Family) -> None:
    """torch.compile every network in place, but those a loss differentiates twice: torch would refuse or be wrong."""
    for name, network in family.named_children():
        if name not in getattr(family, "double_backward", ()):
            network.compile()
