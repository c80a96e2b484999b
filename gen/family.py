"""The words everything else is written in: Batch, Condition, Noise, Losses, Move, Update, Family.

What some families can do besides being trained (sampling, encoding, a likelihood) is in gen/abilities.py.
"""

import hashlib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from gen.blame import blame
from gen.errors import InputError
from gen.settings import Settings, check, nearest

Losses = Mapping[str, Tensor]
"""Scalars by name. Those named in an Update's moves are minimised, the rest are logged."""


class ImageShape(NamedTuple):
    """Shape of one sample. A 2-D point is an image of shape (2, 1, 1)."""

    channels: int
    height: int
    width: int


class DataSpec(NamedTuple):
    """What a family is told of the data set it is built for; it comes from the data set's manifest."""

    image: ImageShape
    """Shape of a sample, as the run pads it."""
    classes: int = 0
    """How many classes there are: labels are 0 to `classes` - 1. 0: the labels say nothing."""
    extras: tuple[str, ...] = ()
    """Names of what `Batch.extras` holds."""


class Batch(NamedTuple):
    """What a model sees."""

    images: Float[Tensor, "n c h w"]
    """In [-1, 1]."""
    labels: Int[Tensor, " n"]
    extras: Mapping[str, Tensor] = {}
    """What a data set has besides: attributes, a paired image, tokens, boxes."""

    def rows(self, take: slice) -> "Batch":
        """The given rows of every part."""
        return Batch(self.images[take], self.labels[take], {k: v[take] for k, v in self.extras.items()})


class Condition(NamedTuple):
    """What a conditional family is told of its samples: a row for each, of the columns that it conditions on."""

    labels: Int[Tensor, " n"] | None = None
    extras: Mapping[str, Tensor] = {}

    def rows(self, take: slice | Int[Tensor, " m"]) -> "Condition":
        """The given rows of every column."""
        labels = None if self.labels is None else self.labels[take]
        return Condition(labels, {name: values[take] for name, values in self.extras.items()})

    def to(self, device: torch.device | str) -> "Condition":
        """The same on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Condition(labels, {name: values.to(device) for name, values in self.extras.items()})


class Noise:
    """The only source of randomness in training and sampling: a function of a key and the row.

    Row i of a draw is the same whichever worker draws it: all `total` rows are drawn, and `take` keeps this worker's.
    Draws follow one another, so the n-th draw of a loss is the n-th draw of that key.
    """

    def __init__(
        self,
        *key: int | str,
        rows: int,
        take: slice = slice(None),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.total = rows
        self.take = take
        self.device = torch.device(device)
        self.dtype = dtype
        # A tensor on meta has a shape and no numbers: nothing is drawn there (gen/training/rehearsal.py).
        self.generator: Any = None
        if self.device.type != "meta":
            self.generator = torch.Generator(self.device).manual_seed(seed_of(*key))

    @property
    def rows(self) -> int:
        """How many rows a draw returns."""
        return len(range(*self.take.indices(self.total)))

    def normal(self, *shape: int) -> Float[Tensor, "rows ..."]:
        """Standard normal, one row of `shape` for every sample."""
        return self._rows(torch.randn(self.total, *shape, generator=self.generator, device=self.device))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "rows ..."]:
        """Uniform in [low, high)."""
        drawn = torch.rand(self.total, *shape, generator=self.generator, device=self.device)
        return self._rows(drawn.mul_(high - low).add_(low))

    def bernoulli(self, *shape: int, probability: float) -> Float[Tensor, "rows ..."]:
        """1 with that probability, else 0."""
        drawn = torch.empty(self.total, *shape, device=self.device)
        return self._rows(drawn.bernoulli_(probability, generator=self.generator))

    def _rows(self, drawn: Tensor) -> Tensor:
        return drawn[self.take].to(self.dtype)


def seed_of(*key: int | str) -> int:
    """A 63-bit seed from any key, the same on every machine and Python."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def constant(step: int) -> float:
    """The schedule that leaves the learning rate alone."""
    return 1.0


def nothing(losses: Losses) -> None:
    """The `after` of an Update that has none."""


@dataclass(frozen=True, kw_only=True)
class OptimizerStep:
    """What one loss of an Update moves, and how."""

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
    """Name of a loss -> what it moves."""
    uses_batch: bool = True
    """Whether the loss looks at the batch; when it does not, it gets a batch of no rows, and no data count as seen."""
    repeat: int | Callable[[int], int] = 1
    """How often within a step, each time with fresh data and noise: k, n_critic, or a function of the step."""
    post_step: Callable[[Losses], None] = nothing
    """Called after the moves, without gradients, with the losses averaged over workers: clipping, say."""

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


def family_names() -> list[str]:
    """Every family there is: the files of gen/families."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module("gen.families").__path__))


def load_family(name: str, settings: Settings | Mapping[str, Any], data: DataSpec, where: str = "model") -> Family:
    """The family of gen/families/<name>.py, freshly initialised from torch's global generator.

    Raises:
        InputError: unknown family, settings that do not fit it, or data it cannot be built for.
    """
    config = settings if isinstance(settings, Settings) else check_family(name, settings, where)
    return cast(Family, family_module(name, where).Model(config, data))


def check_family(name: str, settings: Mapping[str, Any], where: str) -> Settings:
    """The family's own Config, from the `model` section of a run."""
    kind: type[Settings] = family_module(name, where).Config
    return check(kind, dict(settings), where)


def family_module(name: str, where: str = "model") -> Any:
    """gen/families/<name>.py. Raises InputError when there is no such file, or Python cannot import it."""
    if name not in family_names():
        raise InputError(f"{where}: unknown family {name!r}; {nearest(name, family_names())}")
    try:
        return importlib.import_module(f"gen.families.{name}")
    except Exception as error:
        raise InputError(f"{where}: {name} cannot be imported: {blame(error, family_file(name))}") from error


def family_file(name: str) -> Path:
    """Where a family's source lies."""
    found = importlib.util.find_spec(f"gen.families.{name}")
    return Path(found.origin) if found and found.origin else Path(f"gen/families/{name}.py")
