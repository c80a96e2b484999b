"""What a family can do besides being trained. It has an ability by having its methods; nothing is inherited.

Callers ask `isinstance(family, Latent)` and so on; samples are drawn through gen/conditions.py, which knows whether a
family is conditional.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen.family import Batch, Condition, Noise


@runtime_checkable
class Samples(Protocol):
    """A family that samples. A conditional one has a second argument, the Condition."""

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """`noise.rows` samples in [-1, 1]."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A family whose samples have a condition: a class, a caption, another image."""

    conditions_on: ClassVar[Sequence[str]]
    """The columns of a batch that are its condition: `labels`, `extras.<name>`, or `others.<stream>`, which are the
    images of a stream that the family declares."""

    def sample(self, noise: Noise, condition: Condition) -> Float[Tensor, "n c h w"]:
        """`noise.rows` samples in [-1, 1], one for each row of the condition."""
        ...


@runtime_checkable
class Cyclic(Protocol):
    """A family that translates images of one domain into images of another, and back."""

    def translate(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Images of the domain that it is given, as ones of the target's."""
        ...

    def translate_back(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Images of the target's domain, as ones of the domain that it is given."""
        ...


@runtime_checkable
class Latent(Protocol):
    """A family that decodes a latent vector whose prior is known."""

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Latent vectors drawn from the prior."""
        ...

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of latent vectors."""
        ...


@runtime_checkable
class ConditionalLatent(Protocol):
    """A conditional family whose sample is decoded from a latent vector, whose prior is known, and the condition."""

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Latent vectors drawn from the prior."""
        ...

    def decode_given(self, z: Float[Tensor, "n d"], condition: Condition) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of latent vectors, one for each row of the condition."""
        ...


@runtime_checkable
class Truncates(Protocol):
    """A family whose latent vectors can be drawn nearer to the middle of the prior, and are decoded given a class."""

    def truncated_prior(self, noise: Noise, threshold: float | None) -> Float[Tensor, "n d"]:
        """Latent vectors no entry of which is larger than the threshold; None: the prior's own."""
        ...

    def decode_given(self, z: Float[Tensor, "n d"], condition: Condition) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of latent vectors, one for each row of the condition."""
        ...


@runtime_checkable
class Inference(Protocol):
    """A family that finds the latent vector of an image, and decodes it again."""

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Where images lie in latent space; the mean, for a stochastic encoder."""
        ...

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of latent vectors."""
        ...


@runtime_checkable
class Density(Protocol):
    """A family that computes how likely an image is."""

    density: ClassVar[Literal["exact", "bound", "estimate"]]
    """What `log_likelihood` is; a bound is never above the exact value."""

    def log_likelihood(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """log p(x) of each image, in nats."""
        ...


@runtime_checkable
class Discrete(Protocol):
    """A family whose density is of images that were rounded to a few levels."""

    levels: int | None
    """Of every value; None: as it is set up, its density is of real numbers, or of none."""

    def to_levels(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Int[Tensor, "n c h w"]:
        """The level of each value, from 0; of the same noise those that `log_likelihood` is of."""
        ...


@runtime_checkable
class ImportanceWeights(Protocol):
    """A family with a latent vector whose posterior given an image it approximates by q(z | x)."""

    def log_weights(self, batch: Batch, noise: Noise, draws: int) -> Float[Tensor, "draws n"]:
        """log p(x, z) - log q(z | x) of each image, in nats, with so many z drawn from q(z | x).

        Their exponential is p(x) in the mean over draws.
        """
        ...


class Estimate(NamedTuple):
    """A number that was estimated."""

    value: Float[Tensor, ""]
    error: Float[Tensor, ""]
    """Standard error, in the same unit."""


@runtime_checkable
class Unnormalised(Protocol):
    """A family with a Density that is known but for a constant, Z, which is estimated once for many images."""

    max_error: float
    """Standard error of log Z, in nats, above which the estimate has not converged."""

    def log_unnormalised(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """log p(x) + log Z of each image, in nats."""
        ...

    def log_partition(self, noise: Noise) -> Estimate:
        """log Z in nats, with its standard error; a function of the noise's key, not of its rows."""
        ...


@runtime_checkable
class Completes(Protocol):
    """A family that draws what is missing of an image."""

    def complete(
        self, images: Float[Tensor, "n c h w"], known: Bool[Tensor, "h w"], noise: Noise
    ) -> Float[Tensor, "n c h w"]:
        """The images with their unknown pixels drawn given the known ones, which stay as they are.

        Raises:
            InputError: the family cannot draw these pixels given those; the first rows of an image it can be given.
        """
        ...


@runtime_checkable
class Features(Protocol):
    """A family whose networks have learned something a linear classifier can use."""

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """One row of numbers for every image."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A family whose losses see other rows beside those of a batch: mismatched pairs, images of another domain."""

    streams: Mapping[str, str]
    """The name in `Batch.others` -> the domain of the data set that those rows are of; "": the same rows, in an order
    of the stream's own."""


def streams_of(family: object) -> Mapping[str, str]:
    """The streams that a family sees; none of most."""
    return family.streams if isinstance(family, Streams) else {}


@runtime_checkable
class Filters(Protocol):
    """A family whose weights are pictures of what its units look for."""

    def filters(self) -> Float[Tensor, "k c h w"]:
        """One picture in [-1, 1] for each unit, 0 being a weight of 0."""
        ...


@runtime_checkable
class Phased(Protocol):
    """A family that changes with the step: it grows, or fades a layer in."""

    def begin(self, step: int) -> None:
        """Called before step number `step`, from 0; what it sets are buffers, so that an exported model has them too.

        A function of `step` alone: a resumed run calls it for the next step only.
        """
        ...


@runtime_checkable
class Grows(Protocol):
    """A family whose images grow while it is trained: a run that ends before they have would be another size's."""

    def steps_to_grow(self, batch_size: int) -> int:
        """The step from which on samples have their full size."""
        ...


@runtime_checkable
class Composite(Protocol):
    """A family that is made with another trained model, its part: `Model(config, data, part)`, a gen.frozen.Frozen."""

    needs_part: ClassVar[type]
    """The ability that the part has to have."""


@runtime_checkable
class HeldOutLoss(Protocol):
    """A family whose checkpoints are chosen by a loss of its own on held-out images, and not by its samples."""

    held_out: ClassVar[str]
    """What the loss is called, in scores and in sweeps (`validation/<held_out>`)."""

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """The loss of each image, smaller is better; the mean chooses."""
        ...
