"""What happens around the steps of the loop: records, sample grids, scores, checkpoints, an early end."""

import math
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Inference, Samples
from gen.conditions import shown
from gen.config.params import Logging
from gen.errors import InputError
from gen.family import Batch, Losses
from gen.figures.grid import alternating, grid, webp
from gen.training.checkpoint import Checkpoints
from gen.training.profiling import Profiler
from gen.training.scores import Score, improves

if TYPE_CHECKING:
    from gen.training.loop import Loop

PAIRS = 32
"""Validation images whose reconstructions are shown."""
SPLIT = "validation"
LONGEST_HOST = 64
"""Bytes of a host's name that are told."""


class Diverged(Exception):
    """A loss or a weight is not finite any more; the message says which and when."""


@runtime_checkable
class Callback(Protocol):
    """Whoever watches a run. Called on the first worker only; a slow one slows the run."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Losses, gradient norms, images seen and speed after `step` steps; when a run goes on, those before again."""
        ...

    def grid(self, step: int, images: Float[Tensor, "n c h w"], name: str) -> None:
        """Images after `step` steps, in [-1, 1], on the CPU; when a run goes on, those told last come again.

        `samples` are of the same fixed noise; of a family that is told the class, eight of each. `reconstructions`, of
        a family with an encoder, are pairs: a validation image, what became of it, the next one...
        """
        ...

    def stop(self) -> bool:
        """Whether the run is asked to save and return early."""
        ...


class NullCallback:
    """The callback that does nothing."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def grid(self, step: int, images: Float[Tensor, "n c h w"], name: str) -> None:
        """Nothing."""

    def stop(self) -> bool:
        """Never."""
        return False


class Journal:
    """Keeps the record of one run: `open` before the first step, `keep` after each."""

    def __init__(
        self, loop: "Loop", logging: Logging, callback: Callback, checkpoints: Checkpoints | None, score: Score
    ) -> None:
        self.loop = loop
        self.logging = logging
        self.callback = callback
        self.checkpoints = checkpoints
        self.score = score
        self.scoring_seconds = 0.0
        self.seconds_before = 0.0
        """How long the run had been trained when it was opened."""
        self.stopped = False
        self.best: tuple[int, float] | None = None
        self.history: list[dict[str, float]] = []
        self.last_images: dict[str, tuple[int, Tensor]] = {}
        """The images told last, by name, and after how many steps."""
        self.held_out_batches: dict[int, Batch] = {}
        """Validation images that are shown, by how many."""
        self.profiler = Profiler(logging.profile_steps)

    def open(self) -> None:
        """Go on from the newest checkpoint, or begin with a grid of the untrained family.

        Raises:
            InputError: workers would start from different states, or a checkpoint is whole and of something else.
            Unreadable: a checkpoint is there and cannot be read.
        """
        state = self.checkpoints.newest(self.loop.device) if self.checkpoints else None
        if self.checkpoints is not None and state is not None:
            with self.checkpoints.understood(state["steps_done"]):
                self.restore(state)
            self.replay_history()
        elif self.checkpoints is not None and self.loop.workers.is_rank_zero:
            self.checkpoints.check_space(self.loop.family.state_dict(), self.logging.keep_checkpoints)
        try:
            self.loop.check_agreement()
        except InputError as error:  # of all workers alike
            raise InputError(f"{error}; they are on the hosts {', '.join(self.hosts())}") from None
        if self.checkpoints is not None and self.loop.workers.is_rank_zero:
            self.checkpoints.drop_after(self.loop.steps_done)
        if state is None:
            self.log_grid()
        self.opened = self.clock = time.monotonic()
        self.recorded = (self.loop.steps_done, self.loop.batches_used)

    def hosts(self) -> list[str]:
        """The names of the workers' hosts, in the order of ranks. Every worker calls it."""
        mine = torch.tensor(list(socket.gethostname().encode()[:LONGEST_HOST].ljust(LONGEST_HOST)), dtype=torch.uint8)
        found = self.loop.workers.gather(mine, self.loop.device)
        return [bytes(one.tolist()).decode().strip() for one in found]

    def restore(self, state: dict[str, Any]) -> None:
        """What `save` has put into a checkpoint."""
        best, scored_by, self.history = state.pop("best"), state.pop("judge"), state.pop("history")
        last_images = state.pop("shown", {})  # an older version's checkpoints have none
        self.last_images = {name: (step, images.cpu()) for name, (step, images) in last_images.items()}
        self.best = best if scored_by == self.score.digest else None  # another judge's values do not compare
        self.loop.restore(state)
        self.seconds_before = self.history[-1].get("seconds", 0.0) if self.history else 0.0

    def replay_history(self) -> None:
        """Tell the callback again what it was told before: a killed process may not have passed all of it on."""
        if self.loop.workers.is_rank_zero:
            for row in self.history:
                self.callback.metrics(int(row["step"]), {name: v for name, v in row.items() if name != "step"})
            for name, (step, images) in self.last_images.items():
                self.callback.grid(step, images, name)

    def is_due(self, step: int, every: int) -> bool:
        """Whether something that happens every so many steps, and at the end, happens after `step`."""
        return step % every == 0 or step == self.loop.run.steps

    def should_log(self, step: int) -> bool:
        """Whether step number `step` is one of those that are recorded: before a grid or a checkpoint, always."""
        logging = self.logging
        return any(self.is_due(step, n) for n in (logging.metrics_every, logging.grid_every, logging.checkpoint_every))

    def after_step(self, losses: Losses) -> None:
        """All that is due after a step. Raises Diverged."""
        step = self.loop.steps_done
        self.profiler.step(self.loop.workers.is_rank_zero, self.checkpoints)
        if not self.should_log(step):
            return
        self.log_step(losses)
        if self.is_due(step, self.logging.grid_every):
            self.log_grid()
        if self.is_due(step, self.logging.checkpoint_every) and self.is_due(step, self.score.every):
            self.score_checkpoint()
        asked = self.loop.workers.is_rank_zero and self.callback.stop()
        self.stopped = step < self.loop.run.steps and self.loop.workers.any(asked, self.loop.device)
        if self.stopped or self.is_due(step, self.logging.checkpoint_every):
            self.save()
        if self.stopped or step == self.loop.run.steps:
            self.profiler.close(self.checkpoints)

    def log_step(self, losses: Losses) -> None:
        """Check that all is finite, and tell the callback. The same on every worker."""
        loop = self.loop
        values = torch.stack([loss.float() for loss in losses.values()]).tolist()
        message = {f"loss/{name}": value for name, value in zip(losses, values, strict=True)}
        for name, value in message.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} at step {loop.steps_done}")
        if not loop.finite():
            raise Diverged(f"a weight is not finite at step {loop.steps_done}")
        message |= {f"gradient_norm/{name}": float(norm) for name, norm in loop.norms.items()}
        now, (steps, batches) = time.monotonic(), self.recorded
        message["steps_per_second"] = (loop.steps_done - steps) / (now - self.clock)
        message["images_per_second"] = (loop.batches_used - batches) * loop.run.batch_size / (now - self.clock)
        message["images_seen"] = loop.batches_used * loop.run.batch_size
        self.clock, self.recorded = now, (loop.steps_done, loop.batches_used)
        if loop.workers.is_rank_zero:
            self.log_metrics(message)

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """To the callback, and into the history that checkpoints carry; with the seconds of training so far."""
        values = {**values, "seconds": self.seconds_before + time.monotonic() - self.opened}
        self.history.append({"step": self.loop.steps_done, **values})
        self.callback.metrics(self.loop.steps_done, values)

    def log_grid(self) -> None:
        """Samples of the run's fixed noise, to the callback; and reconstructions, of a family with an encoder."""
        loop = self.loop
        if not loop.workers.is_rank_zero:
            return
        if isinstance(loop.family, Samples):
            some = shown(loop.family, loop.data, self.held_out)
            samples = loop.sample("grid", rows=some.rows, condition=some.condition)
            with loop.evaluating():
                self.log_images("samples", some.pictures(loop.family, samples))
        if isinstance(loop.family, Inference) and loop.dataset.rows.get(SPLIT):
            held_out_batches = self.held_out(min(PAIRS, loop.dataset.rows[SPLIT])).images
            with loop.evaluating():
                made = loop.family.decode(loop.family.encode(held_out_batches))
            self.log_images("reconstructions", alternating(held_out_batches, made))

    def held_out(self, rows: int) -> Batch:
        """Rows of the validation split, read once."""
        if rows not in self.held_out_batches:
            self.held_out_batches[rows] = self.loop.held_out(SPLIT, rows)
        return self.held_out_batches[rows]

    def log_images(self, name: str, images: Float[Tensor, "n c h w"]) -> None:
        """To the callback, and kept: the newest by checkpoints, and a small picture of each beside them."""
        images = images.float().cpu()
        self.last_images[name] = (self.loop.steps_done, images)
        if self.checkpoints is not None:
            self.checkpoints.put_grid(self.loop.steps_done, name, webp(grid(images)))
        self.callback.grid(self.loop.steps_done, images, name)

    def score_checkpoint(self) -> None:
        """Score the checkpoint that is about to be written; the one with the smallest score is the best.

        What share of the time since the run was opened went into scores is told too.
        """
        started = time.monotonic()
        measured = self.score(self.loop)
        now = time.monotonic()
        self.scoring_seconds += now - started
        if not measured:
            return
        for name, value in measured.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} at step {self.loop.steps_done}")
        value = next(iter(measured.values()))
        if improves(value, self.best and self.best[1]):
            self.best = (self.loop.steps_done, value)
        share = self.scoring_seconds / (now - self.opened)
        self.log_metrics(
            {f"validation/{name}": value for name, value in measured.items()} | {"scoring_share_of_time": share}
        )

    def save(self) -> None:
        """A checkpoint that `open` goes on from; the first worker writes it, and every worker calls this."""
        if self.checkpoints is None:
            return
        state = self.loop.state()
        if self.loop.workers.is_rank_zero:
            mine = {"best": self.best, "judge": self.score.digest, "history": self.history, "shown": self.last_images}
            state |= mine
            best = self.best[0] if self.best else None
            self.checkpoints.save(self.loop.steps_done, state, self.logging.keep_checkpoints, best)
