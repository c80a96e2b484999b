"""Samples as a picture."""

import io
import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw
from torch import Tensor

POINTS_SIDE = 256


def to_uint8(images: Float[Tensor, "n c h w"]) -> UInt8[ndarray, "n h w c"]:
    """Pixels in [-1, 1] as 0 to 255, channels last."""
    scaled = ((images.clamp(-1, 1) + 1) * 127.5).round().byte()
    return scaled.permute(0, 2, 3, 1).numpy()


def grid(images: Float[Tensor, "n c h w"], columns: int | None = None, scale: int | None = None) -> Image.Image:
    """One picture of all images, row by row, small ones enlarged; points as a scatter plot over [-1, 1]^2.

    Args:
        images: samples in [-1, 1] on the CPU; (2, 1, 1) each for points.
        columns: images in a row; by default 8, of wide ones fewer.
        scale: whole factor of enlargement; by default it brings an image to at least 32 pixels.
    """
    if images.shape[1:] == (2, 1, 1):
        return scatter(images.flatten(1))
    n, _, height, width = images.shape
    columns = columns or min(8, max(1, 16 * height // width))
    rows = math.ceil(n / columns)
    scale = scale or max(1, 32 // height)
    pixels = to_uint8(images)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, pixels.shape[3]), 255, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = picture
    sheet = sheet[..., 0] if sheet.shape[2] == 1 else sheet
    result = Image.fromarray(sheet)
    return result.resize((result.width * scale, result.height * scale), Image.Resampling.NEAREST)


def alternating(images: Float[Tensor, "n c h w"], made: Float[Tensor, "n c h w"]) -> Float[Tensor, "m c h w"]:
    """The first image, what was made of it, the second image..."""
    return torch.stack([images, made], dim=1).flatten(0, 1)


def scatter(points: Float[Tensor, "n 2"], colour: str = "#1f5fbf") -> Image.Image:
    """Points in [-1, 1]^2, y upwards; those outside are not drawn."""
    picture = Image.new("RGB", (POINTS_SIDE, POINTS_SIDE), "white")
    draw = ImageDraw.Draw(picture)
    for x, y in ((points + 1) / 2 * (POINTS_SIDE - 1)).tolist():
        draw.ellipse((x - 1.5, POINTS_SIDE - 1 - y - 1.5, x + 1.5, POINTS_SIDE - 1 - y + 1.5), fill=colour)
    return picture


def webp(image: Image.Image) -> bytes:
    """The picture as a small file's bytes, a little blurred: for the many of a training."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
