"""A model as the page asks it: latent vectors from seeds, pictures and paths, and pictures from latent vectors."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from gen.abilities import Conditional, ConditionalLatent, Inference, Latent
from gen.data.pictures import decode, fit
from gen.errors import InputError
from gen.family import Condition, ImageShape, Noise
from gen.figures.grid import to_uint8
from gen.figures.latent import DRAWS, RANGE
from gen.latent.analogy import analogy
from gen.latent.interpolation import lerp, slerp, tentpole
from gen.latent.projection import project
from gen.model import Model
from pipelines.explore.vectors import Vectors, encoded

PIXELS = 1 << 25
"""Of one's own picture, at most."""
EXAMPLES = 64
"""Conditions that are offered of a family that conditions on something else than the class."""
FIRST = 256
"""Draws of the prior among which the search for the latent vector of a picture begins."""
WHITE = (255, 255, 255)


class Path(NamedTuple):
    """Latent vectors from one end to the other."""

    z: Float[Tensor, "k d"]
    off: Float[Tensor, " k"] | None
    """Lengths, in standard deviations from the mean length of draws of the prior; None without a prior."""


class Own(NamedTuple):
    """What the model makes of one's own picture."""

    z: Float[Tensor, "1 d"]
    picture: bytes
    """As the model sees it, a PNG."""
    error: float
    """Mean squared error of a pixel of the decoded picture, both in [-1, 1]."""


class Explored:
    """A model with what the page needs besides. Its methods are called by one thread.

    Args:
        model: decodes a latent vector, perhaps with a condition.
        held_out: images that it was not trained on, where the data set is at hand and the family encodes.
        vectors: of the sliders.
        stored: shape of the data set's images, which the model's may pad; None: not known.

    Raises:
        InputError: the family has no latent vector, or none can be drawn; or its samples are no pictures.
    """

    def __init__(
        self,
        model: Model,
        held_out: Float[Tensor, "n c h w"] | None = None,
        vectors: Vectors | None = None,
        stored: ImageShape | None = None,
    ) -> None:
        if not decodes(model.family):
            raise InputError(f"{model.name} has no latent vector to explore; gen sample draws of it, see gen families")
        if model.data.image.channels not in (1, 3) or model.data.image.height == 1:
            shape = "x".join(map(str, model.data.image))
            raise InputError(f"{model.name} makes samples of {shape}: no pictures to explore; gen sample draws them")
        self.family: Any = model.family
        self.model, self.held_out, self.vectors = model, held_out, dict(vectors or {})
        self.stored = stored or model.data.image
        self.has_prior = isinstance(model.family, Latent | ConditionalLatent)
        if not self.has_prior and held_out is None:
            raise InputError(
                f"{model.name} has no prior to draw from, and its data set is not in data/prepared: run dvc repro "
                "prepare@<dataset> for held-out images to begin with"
            )
        self.typical = self.some_latents()
        self.latent_dim = self.typical.shape[1]

    @torch.inference_mode()
    def some_latents(self) -> Float[Tensor, "n d"]:
        """Draws of the prior; of a family without one, encodings of held-out images."""
        if self.has_prior or self.held_out is None:
            z: Tensor = self.family.prior(Noise("prior", rows=DRAWS))
        else:
            z = encoded(self.family, self.held_out)
        return z

    @property
    def sources(self) -> list[str]:
        """Where latent vectors to begin with come from."""
        held = self.held_out is not None and isinstance(self.family, Inference)
        return ["prior"] * self.has_prior + ["images"] * held

    @property
    def conditions(self) -> list[str]:
        """What can be asked for, by name: classes, or examples of another condition; none of an unconditional model."""
        if not isinstance(self.family, Conditional):
            return []
        if tuple(self.family.conditions_on) == ("labels",):
            return list(self.model.classes) or [str(number) for number in range(self.model.data.classes)]
        examples = self.model.examples
        rows = len(next(iter(examples.extras.values()))) if examples and examples.extras else 0
        return [f"example {number}" for number in range(min(rows, EXAMPLES))]

    def latents(self, rows: Sequence[Sequence[float]]) -> Float[Tensor, "n d"]:
        """Latent vectors as a request has them. Raises InputError when they are not of the model's size."""
        for row in rows:
            if len(row) != self.latent_dim:
                raise InputError(f"z: {len(row)} numbers; a latent vector of this model has {self.latent_dim}")
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, self.latent_dim)

    @torch.inference_mode()
    def draws(self, source: str, seed: int, rows: int) -> Float[Tensor, "n d"]:
        """Draws of the prior, those that `gen sample` takes with this seed; or encodings of held-out images.

        Raises:
            InputError: the model has no such source.
        """
        if source not in self.sources:
            raise InputError(f"source: {source!r}; this model has {', '.join(self.sources)}")
        if source == "prior" or self.held_out is None:
            z: Tensor = self.family.prior(Noise(seed, rows=rows))
        else:
            chosen = torch.randperm(len(self.held_out), generator=torch.Generator().manual_seed(seed))[:rows]
            z = self.family.encode(self.held_out[chosen])
        return z

    @torch.inference_mode()
    def path(self, a: Sequence[float], b: Sequence[float], steps: int, straight: bool) -> Path:
        """`steps` + 1 latent vectors from a to b, on the great circle or the straight line. Raises InputError."""
        start, end = self.latents([a, b])
        z = (lerp if straight else slerp)(start, end, torch.linspace(0, 1, steps + 1))
        return Path(z, tentpole(z, self.typical).off if self.has_prior else None)

    @torch.inference_mode()
    def surface(
        self, corners: Sequence[Sequence[float]] | None, at: Sequence[tuple[float, float]]
    ) -> Float[Tensor, "n d"]:
        """Latent vectors at places of a plane, (0, 0) being top left and (1, 1) bottom right.

        Args:
            corners: A top left, B top right, C bottom left of a J-diagram, whose fourth corner is C + B - A; None: the
                two dimensions of a latent vector that has two, between percentiles of the prior.
            at: how far to the right and how far down, each from 0 to 1.

        Raises:
            InputError: no corners for more than two dimensions, or no great circle between two of them.
        """
        places = torch.tensor(at)
        if corners is None:
            if self.latent_dim != 2:
                raise InputError(f"corners: missing; a latent vector of {self.latent_dim} dimensions is no plane")
            low, high = RANGE
            right, down = (low + places * (high - low)).unbind(1)
            across, up = self.typical.unbind(1)
            return torch.stack([across.quantile(right), up.quantile(1 - down)], dim=1)
        a, b, c = self.latents(corners)
        d = analogy(a, b, c)
        found = []
        for right, down in places[:, :, None]:
            found.append(slerp(slerp(a, c, down)[0], slerp(b, d, down)[0], right))
        return torch.cat(found)

    @torch.inference_mode()
    def picture(self, z: Tensor, moves: Mapping[str, float], condition: int | None, columns: int) -> bytes:
        """A PNG of the images of latent vectors, row by row without gaps.

        Args:
            z: the latent vectors.
            moves: by the name of an attribute, how often its vector is added to each.
            condition: the number of one of `conditions`.
            columns: images in a row.

        Raises:
            InputError: there is no such attribute or condition.
        """
        for name, alpha in moves.items():
            if name not in self.vectors:
                raise InputError(f"moves: no attribute {name!r}; known: {', '.join(self.vectors) or 'none'}")
            z = z + alpha * self.vectors[name]
        return png(sheet(to_uint8(self.decoded(z, condition)), columns))

    def decoded(self, z: Float[Tensor, "n d"], condition: int | None) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1]; `condition` is the number of one of `conditions`. Raises InputError."""
        known = self.conditions
        if (condition is None) != (not known) or not 0 <= (condition or 0) < max(1, len(known)):
            fit = f"give a number from 0 to {len(known) - 1}" if known else "this model takes none: leave it out"
            raise InputError(f"condition: {condition}; {fit}")
        with onednn(len(z) > 1):
            images: Tensor = (
                self.family.decode(z)
                if condition is None
                else self.family.decode_given(z, self.asked(condition, len(z)))
            )
        return images

    def asked(self, number: int, rows: int) -> Condition:
        """So many rows of one of `conditions`."""
        if tuple(self.family.conditions_on) == ("labels",) or self.model.examples is None:
            return self.model.asked(number, rows)
        return self.model.examples.rows(torch.full((rows,), number))

    @property
    def takes_pictures(self) -> str:
        """Why there is no latent vector of one's own picture; empty where there is."""
        _, height, width = self.stored
        return "" if height == width else f"the model's images are of {height}x{width} pixels, and only squares are cut"

    def own(self, blob: bytes, condition: int | None = None) -> Own:
        """The latent vector of one's own picture: its centre square, resized, encoded; without an encoder, projected.

        Args:
            blob: a picture file.
            condition: of a conditional family, the number of one of `conditions`.

        Raises:
            InputError: it is no picture, or there is no such condition.
        """
        if reason := self.takes_pictures:
            raise InputError(reason)
        picture = decode(blob, "your picture", WHITE, PIXELS)
        pixels = fit(picture if self.model.data.image.channels == 3 else picture.convert("L"), None, self.stored.height)
        _, height, width = self.model.data.image
        top, left = (height - self.stored.height) // 2, (width - self.stored.width) // 2
        around = (left, width - self.stored.width - left, top, height - self.stored.height - top)
        image = pad(torch.from_numpy(pixels.copy())[None], around).float() / 127.5 - 1
        if isinstance(self.family, Inference):
            with torch.inference_mode():
                z = self.family.encode(image)
                error = (self.family.decode(z) - image).square().mean()
        else:
            z, error = project(lambda z: self.decoded(z, condition), image, self.typical[:FIRST])
        return Own(z, png(to_uint8(image)[0]), float(error))


@contextmanager
def onednn(enabled: bool) -> Iterator[None]:
    """Whether convolutions go through oneDNN inside the block.

    At each call it lays the weights of a transposed convolution out anew, which takes longer than a single image does.
    """
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = enabled  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def decodes(family: object) -> bool:
    """Whether images of a family come from a latent vector that is at hand, and from its condition if it has one."""
    if isinstance(family, Conditional):
        return isinstance(family, ConditionalLatent)
    return isinstance(family, Latent | Inference)


def sheet(pixels: UInt8[ndarray, "n h w c"], columns: int) -> UInt8[ndarray, "h w c"]:
    """Images side by side without gaps; what the last row lacks is black."""
    n, height, width, channels = pixels.shape
    rows = -(-n // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:n] = pixels
    grid = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, channels)


def png(pixels: UInt8[ndarray, "h w c"]) -> bytes:
    """A PNG, made fast rather than small: it goes nowhere but to a browser on this machine."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def data_url(picture: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
