"""scikit-learn's 1,797 handwritten digits of 8x8 pixels, shipped inside the package (UCI, Alpaydin & Kaynak 1998).

Grey levels of 0..16 become 0..255.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import Field

from gen.data.pictures import fit
from gen.data.source import Chunk, Description, Published
from gen.settings import Settings

ROWS = 1797


class Config(Settings):
    """The data set's section of params.yaml."""

    resolution: int | None = Field(ge=8, le=256)
    """Pixels of height and width, by bicubic interpolation; null keeps the published 8."""
    validation: int = Field(ge=0, le=800)
    """Rows of the validation split; those before the test rows."""
    test: int = Field(ge=0, le=800)
    """Rows of the test split: the last ones."""


def files(config: Config) -> Sequence[Published]:
    """None: the data is inside scikit-learn."""
    return ()


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """Train, validation and test rows, in published order."""
    from sklearn.datasets import load_digits  # takes a second, which every stage would pay when it reads params

    published = load_digits()
    grey = np.rint(published.images * (255 / 16)).astype(np.uint8)
    images = np.stack([fit(Image.fromarray(image), None, config.resolution) for image in grey])
    first_test = ROWS - config.test
    first_validation = first_test - config.validation
    bounds = {"train": (0, first_validation), "validation": (first_validation, first_test), "test": (first_test, ROWS)}
    for split, (start, stop) in bounds.items():
        labels = published.target[start:stop].astype(np.int64)
        yield Chunk(split, images[start:stop], labels, [str(row) for row in range(start, stop)])


def describe(config: Config) -> Description:
    """One channel, ten classes."""
    resolution = config.resolution or 8
    return Description(
        (1, resolution, resolution),
        "uint8",
        tuple(map(str, range(10))),
        settings={"resolution": resolution, "filter": "bicubic"},
    )
