"""The extractors that params may name: what samples are compared by (gen/extractors computes them)."""

from typing import Literal

Name = Literal["classifier", "coordinates", "inception_bilinear", "inception_bicubic", "pixels"]
ROUNDED = "_bfloat16"
"""Ends the name of an Inception that computes in bfloat16: another extractor, with statistics of its own."""


def scoring_extractor(name: str) -> str:
    """The extractor that scores checkpoints in training: of an Inception the rounded one, twice as fast."""
    return name + ROUNDED if name.startswith("inception_") else name
