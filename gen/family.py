"""The words everything else is written in: Batch, Condition, Noise, Losses, Move, Update, Family.

What some families can do besides being trained (sampling, encoding, a likelihood) is in gen/abilities.py.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from pydantic import model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from gen.settings import Settings

Losses = Mapping[str, Tensor]
"""Scalars by name. Those named in an Update's optimizer_steps are minimised, the rest are logged."""


class ImageShape(NamedTuple):
    """Shape of one sample. A 2-D point is an image of shape (2, 1, 1)."""

    channels: int
    height: int
    width: int


class Column(Settings):
    """What a further column of a data set holds in every row: attributes, a paired image, tokens, boxes.

    A batch has the values of a column as they are stored, but for images.
    """

    dtype: Literal["bool", "uint8", "int64", "float32", "float64"]
    """Of its numbers."""
    shape: tuple[int, ...] = ()
    """Of one row's array; empty: one number."""
    image: bool = False
    """Whether it is an image, of shape (channels, height, width) and uint8: a batch then has it as it has `images`,
    padded to the run's resolution and in [-1, 1]."""
    words: tuple[str, ...] = ()
    """What its numbers stand for, as classes name labels; empty: they are numbers."""

    @model_validator(mode="after")
    def _images_are_pixels(self) -> "Column":
        if self.image and (self.dtype != "uint8" or len(self.shape) != 3):
            raise ValueError("an image is uint8 of shape (channels, height, width)")
        return self

    def padded(self, height: int, width: int) -> "Column":
        """As a batch has it, in a run whose images are of that height and width."""
        return self.model_copy(update={"shape": (self.shape[0], height, width)}) if self.image else self


class DataSpec(NamedTuple):
    """What a family knows of the data set it is built for; it comes from the data set's manifest."""

    image: ImageShape
    """Shape of a sample, as the run pads it."""
    classes: int = 0
    """How many classes there are: labels are 0 to `classes` - 1. 0: the labels say nothing."""
    extras: Mapping[str, Column] = {}
    """What `Batch.extras` holds, images as the run pads them."""


class Batch(NamedTuple):
    """What a model sees."""

    images: Float[Tensor, "n c h w"]
    """In [-1, 1]."""
    labels: Int[Tensor, " n"]
    extras: Mapping[str, Shaped[Tensor, "n ..."]] = {}
    """The data set's further columns, by name; images among them in [-1, 1]."""
    others: Mapping[str, "Batch"] = {}
    """As many other rows, by the name of the stream that a family declares (`Streams` of gen/abilities.py)."""

    def rows(self, take: slice) -> "Batch":
        """The given rows of every part."""
        extras = {name: values[take] for name, values in self.extras.items()}
        others = {name: other.rows(take) for name, other in self.others.items()}
        return Batch(self.images[take], self.labels[take], extras, others)


class Condition(NamedTuple):
    """What samples are conditioned on: a row for each sample, of the columns that the family names."""

    labels: Int[Tensor, " n"] | None = None
    extras: Mapping[str, Shaped[Tensor, "n ..."]] = {}

    def rows(self, take: slice | Int[Tensor, " m"]) -> "Condition":
        """The given rows of every column."""
        labels = None if self.labels is None else self.labels[take]
        return Condition(labels, {name: values[take] for name, values in self.extras.items()})

    def to(self, device: torch.device | str) -> "Condition":
        """The same on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Condition(labels, {name: values.to(device) for name, values in self.extras.items()})


CHUNK = 256
"""Rows of a Noise that are drawn together, by a generator of their own."""


class Noise:
    """The only source of randomness in training and sampling: a function of a key and the row.

    Row i of a draw is the same whichever worker draws it, and however many rows it draws: rows are drawn by the chunk,
    those chunks that `take` has rows of, and no others. So a few of a hundred thousand samples take memory for a few.
    Draws follow one another: the n-th draw of a loss is the n-th draw of that key.
    """

    def __init__(
        self,
        *key: int | str,
        rows: int,
        take: slice = slice(None),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.key = key
        self.total = rows
        self.take = take
        self.device = torch.device(device)
        self.dtype = dtype
        self.generators: dict[int, torch.Generator] = {}

    @property
    def rows(self) -> int:
        """How many rows a draw returns."""
        return len(range(*self.take.indices(self.total)))

    def normal(self, *shape: int) -> Float[Tensor, "rows ..."]:
        """Standard normal, one row of `shape` for every sample."""
        return self._drawn(shape, lambda rows, generator: rows.normal_(generator=generator))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "rows ..."]:
        """Uniform in [low, high)."""
        return self._drawn(shape, lambda rows, generator: rows.uniform_(generator=generator).mul_(high - low).add_(low))

    def bernoulli(self, *shape: int, probability: float) -> Float[Tensor, "rows ..."]:
        """1 with that probability, else 0."""
        return self._drawn(shape, lambda rows, generator: rows.bernoulli_(probability, generator=generator))

    def _drawn(self, shape: tuple[int, ...], fill: Callable[[Tensor, Any], Tensor]) -> Tensor:
        """The rows that are taken, from the chunks that they lie in."""
        taken = range(*self.take.indices(self.total))
        parts = [torch.empty(0, *shape, device=self.device)]
        for chunk in range(taken[0] // CHUNK, taken[-1] // CHUNK + 1) if taken else ():
            start = chunk * CHUNK
            end = min(start + CHUNK, self.total)
            rows = fill(torch.empty(end - start, *shape, device=self.device), self._generator(chunk))
            first = taken.start + -(-max(0, start - taken.start) // taken.step) * taken.step
            parts.append(rows[first - start : max(0, min(end, taken.stop) - start) : taken.step])
        return torch.cat(parts).to(self.dtype)

    def _generator(self, chunk: int) -> torch.Generator | None:
        """A chunk's own; none on meta, where tensors have shapes and no numbers (gen/training/rehearsal.py)."""
        if self.device.type == "meta":
            return None
        if chunk not in self.generators:
            seed = seed_of(*self.key, *(("rows", chunk * CHUNK) if chunk else ()))
            self.generators[chunk] = torch.Generator(self.device).manual_seed(seed)
        return self.generators[chunk]


def seed_of(*key: int | str) -> int:
    """A 63-bit seed from any key, the same on every machine and Python."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def constant(step: int) -> float:
    """The schedule that leaves the learning rate alone."""
    return 1.0


def nothing(losses: Losses) -> None:
    """The `post_step` of an Update that has none."""


@dataclass(frozen=True, kw_only=True)
class OptimizerStep:
    """The parameters that one loss of an Update trains, and how."""

    params: Sequence[nn.Parameter]
    optimizer: Callable[[Sequence[nn.Parameter]], Optimizer]
    schedule: Callable[[int], float] = constant
    """Factor on the learning rate, as a function of the step."""
    max_norm: float | None = None
    """Gradients are scaled down to this norm when they exceed it."""
    ema: bool = False
    """Whether samples are drawn with a moving average of these parameters (when the run asks for one)."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """One step of an algorithm: one forward, all gradients taken, then every move made."""

    name: str
    loss: Callable[[Batch, Noise], Losses]
    optimizer_steps: Mapping[str, OptimizerStep]
    """Name of a loss -> the parameters it trains, and how."""
    uses_batch: bool = True
    """Whether the loss looks at the batch; when it does not, it gets a batch of no rows, and no data count as seen."""
    repeat: int | Callable[[int], int] = 1
    """How often within a step, each time with fresh data and noise: k, n_critic, or a function of the step."""
    post_step: Callable[[Losses], None] = nothing
    """Called after the optimizer steps, without gradients, with the losses averaged over workers: clipping, say."""

    def repeats(self, step: int) -> int:
        """How often this update is made at `step` (counted from 0)."""
        return self.repeat if isinstance(self.repeat, int) else self.repeat(step)


@runtime_checkable
class Family(Protocol):
    """One paper: its networks and its updates. Any nn.Module with `updates` is one.

    There is no base class to inherit from; the rest of this protocol is what nn.Module brings. Sampling and whatever
    else a family can do are abilities (gen/abilities.py).
    """

    def updates(self) -> Sequence[Update]:
        """What one training step does, in order."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...  # noqa: D102

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...  # noqa: D102

    def named_children(self) -> Iterator[tuple[str, nn.Module]]: ...  # noqa: D102

    def state_dict(self) -> dict[str, Tensor]: ...  # noqa: D102

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object: ...  # noqa: D102

    def train(self, mode: bool = True) -> "Family": ...  # noqa: D102

    def to(self, *args: Any, **kwargs: Any) -> "Family": ...  # noqa: D102
