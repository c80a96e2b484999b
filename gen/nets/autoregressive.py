"""p(x) = prod_i p(x_i | x_1 .. x_(i-1)) over the values of an image: likelihood, sampling and completion.

Values come row by row from the top left and, within a pixel, R, G, B. The network says the distribution of each value
given those before it; here is what is the same for every such network.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape, Noise
from gen.losses.levels import Binarisation, check_support, from_levels, to_levels
from gen.nets.masked import Cache
from gen.nets.precision import at_least_float32

Images = Float[Tensor, "n c h w"]


class Causal(Protocol):
    """A network whose numbers for a value depend on the values before it alone."""

    def begin_row(self, rows: Float[Tensor, "n c h w"], cache: Cache) -> None:
        """Called before the first pixel of a row with the rows up to it, the last of which is not known yet."""
        ...

    def __call__(self, x: Float[Tensor, "n c *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Logits of every value of whole images or, with a cache, of its pixel, `x` being the rows up to there."""
        ...


def outputs(levels: int) -> int:
    """Numbers a network puts out for each value: one logit of a Bernoulli distribution, or one of each level."""
    return 1 if levels == 2 else levels


class Autoregressive(nn.Module):
    """Images of so many levels, drawn from the distributions that a causal network says."""

    def __init__(self, network: nn.Module, image: ImageShape, levels: int, binarisation: Binarisation) -> None:
        super().__init__()
        self.network, self.image, self.levels = network, image, levels
        self.binarisation: Binarisation = binarisation

    def log_likelihood(self, images: Images, noise: Noise) -> Float[Tensor, " n"]:
        """log p(x) of each image, its values rounded to the levels, in nats."""
        level = to_levels(images, self.levels, self.binarisation, noise)
        found = self.log_p(self.network(from_levels(level, self.levels, images.dtype)))
        return found.gather(2, level[:, :, None]).flatten(1).sum(dim=1)

    def log_p(self, logits: Float[Tensor, "n o *place"]) -> Float[Tensor, "n c levels *place"]:
        """log of the probability of each level of each value."""
        logits = at_least_float32(logits)
        logits = logits.reshape(len(logits), self.image.channels, -1, *logits.shape[2:])
        if self.levels == 2:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=2)
        return logits.log_softmax(dim=2)

    def sample(self, noise: Noise) -> Images:
        """Images in [-1, 1]."""
        uniform = noise.uniform(*self.image)
        images = torch.zeros_like(uniform)
        for row, column, channel, log_p in self.along(images):
            images[:, channel, row, column] = self.drawn(log_p, uniform[:, channel, row, column])
        return images

    def complete(self, images: Images, known: Bool[Tensor, "h w"], noise: Noise) -> Images:
        """The images, their unknown pixels drawn from p(unknown | known).

        Raises:
            InputError: a known pixel comes after an unknown one: the network says nothing of earlier pixels given
                later ones. Or a value is outside of [-1, 1].
        """
        order = known.flatten()
        count = int(order.sum())
        if not bool(order[:count].all()):
            raise InputError("known: a known pixel comes after an unknown one; give the first rows of the images")
        check_support(images, self.image)
        uniform = noise.uniform(*self.image)
        level = to_levels(images, self.levels, self.binarisation, noise)
        made = from_levels(level, self.levels, uniform.dtype) * known
        for row, column, channel, log_p in self.along(made):
            if not known[row, column]:
                made[:, channel, row, column] = self.drawn(log_p, uniform[:, channel, row, column])
        return torch.where(known, images, made)

    def along(self, images: Images) -> Iterator[tuple[int, int, int, Float[Tensor, "n levels"]]]:
        """Row, column and channel of every value in order, with the log probabilities of its levels.

        Whoever asks for the next has put a value into `images`. A layer computes one pixel at a time, or one row where
        it knows the rows above alone.
        """
        cache = Cache(self.image.height, self.image.width)
        for row in range(self.image.height):
            seen = images[:, :, max(0, row - 1) : row + 1]  # the last pixel of the row above is new, too
            cache.row, cache.column = row, None
            self.network.begin_row(seen, cache)  # type: ignore[operator]
            for column in range(self.image.width):
                cache.column = column
                for channel in range(self.image.channels):
                    yield row, column, channel, self.log_p(self.network(seen, cache))[:, channel]

    def drawn(self, log_p: Float[Tensor, "n levels"], uniform: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The level at which the distribution function exceeds a uniform number, in [-1, 1]."""
        below = log_p[:, :-1].exp().cumsum(dim=1) <= uniform[:, None]
        return from_levels(below.sum(dim=1), self.levels, uniform.dtype)
