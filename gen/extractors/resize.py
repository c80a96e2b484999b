"""The two ways images are brought to the side a feature extractor wants. An FID is only comparable by the same one.

`bilinear` is what the published FID Inception does inside its graph: TensorFlow 1's resize_bilinear with
align_corners=False, which samples at out * in/side, without half-pixel centres and without a filter against aliasing.
`bicubic` is the "clean" resize of Parmar, Zhang & Zhu, "On aliased resizing and surprising subtleties in GAN
evaluation", 2022: Pillow's filtered bicubic on each channel as 32-bit floats, clipped to [0, 255], never rounded.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen.errors import InputError


def bilinear(images: Tensor, side: int = 299) -> Float[Tensor, "n 3 {side} {side}"]:
    """Resize uint8 images (n, c, h, w), c 1 or 3, to float32 in [0, 255] as the published FID Inception does.

    Bilinear interpolation is linear in the rows and in the columns, so it is one small matrix for each.

    Raises:
        InputError: images of another type or shape.
    """
    _check(images)
    height, width = images.shape[2:]
    rows, columns = (_interpolation(size, side).to(images.device) for size in (height, width))
    return _three_channels(rows @ (images.float() @ columns.T))


def bicubic(images: Tensor, side: int = 299) -> Float[Tensor, "n 3 {side} {side}"]:
    """Resize uint8 images (n, c, h, w), c 1 or 3, to float32 in [0, 255], the "clean" way; computed on the CPU.

    Raises:
        InputError: images of another type or shape.
    """
    _check(images)
    resized = torch.empty(*images.shape[:2], side, side)
    planes = images.cpu().numpy().astype(np.float32).reshape(-1, *images.shape[2:])
    for plane, out in zip(planes, resized.flatten(0, 1).numpy(), strict=True):
        out[:] = Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC)
    return _three_channels(resized.clamp_(0, 255).to(images.device))


RESIZERS: Mapping[str, Callable[[Tensor], Float[Tensor, "n 3 side side"]]] = {"bilinear": bilinear, "bicubic": bicubic}
"""By the name that stands beside a result."""


def _check(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in {1, 3} or 0 in images.shape[2:]:
        kind = str(images.dtype).removeprefix("torch.")
        raise InputError(f"images: {kind} {tuple(images.shape)}; wanted uint8 (n, c, h, w) with 1 or 3 channels")


def _interpolation(size: int, side: int) -> Float[Tensor, "{side} {size}"]:
    """Row i holds the weights of the two pixels that output i lies between."""
    outputs = torch.arange(side)
    positions = outputs * torch.tensor(size / side)  # in float32, as in TensorFlow's kernel: it shows in large images
    low = positions.long()
    weights = torch.zeros(side, size)
    weights[outputs, low] = 1 - positions.frac()
    weights[outputs, (low + 1).clamp(max=size - 1)] += positions.frac()
    return weights


def _three_channels(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
    return images.expand(-1, 3, -1, -1)
