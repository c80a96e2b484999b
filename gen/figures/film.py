"""Films: images that follow one another, as GIF and MP4."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen.figures.grid import grid

FPS = 12
"""Frames a second."""
SIDE = 128
"""Pixels that a film has at the least in height and width: players show small ones badly."""


def frames(sheet: Float[Tensor, "rows columns c h w"], per_row: int | None = None) -> list[Image.Image]:
    """A picture for each column of a sheet: its images side by side, `per_row` of them in a row."""
    rows = sheet.shape[0]
    return [grid(column, columns=per_row or min(rows, 8)) for column in sheet.unbind(1)]


def there_and_back(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """The pictures, then those between the ends backwards: shown again and again, it has no jump."""
    return [*pictures, *reversed(pictures[1:-1])]


def gif(pictures: Sequence[Image.Image], fps: int = FPS) -> bytes:
    """An animation without end as a GIF file's bytes, of 256 colours that all pictures share."""
    shown = [enlarged(picture) for picture in pictures]
    if shown[0].mode == "L":
        reduced = shown
    else:
        palette = together(shown).quantize(256, method=Image.Quantize.MEDIANCUT)
        reduced = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in shown]
    buffer = io.BytesIO()
    # As hundredths of a second, in which a GIF counts.
    reduced[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=10 * max(2, round(100 / fps)),
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def mp4(pictures: Sequence[Image.Image], fps: int = FPS) -> bytes:
    """The film once as an MP4 file's bytes: H.264 that browsers play, of even height and width."""
    import av  # some 0.2 s, and only films need it

    shown = [enlarged(picture).convert("RGB") for picture in pictures]
    width, height = (side + side % 2 for side in shown[0].size)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in shown:
            even = np.pad(
                np.asarray(picture), ((0, height - picture.height), (0, width - picture.width), (0, 0)), mode="edge"
            )
            file.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        file.mux(stream.encode())
    return buffer.getvalue()


def enlarged(picture: Image.Image) -> Image.Image:
    """By a whole factor, to at least SIDE pixels in height and width."""
    factor = max(1, -(-SIDE // min(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def together(pictures: Sequence[Image.Image]) -> Image.Image:
    """All pictures of a film below each other, 16 of them at most: what their palette is chosen from."""
    chosen = pictures[:: -(-len(pictures) // 16)]
    return Image.fromarray(np.concatenate([np.asarray(picture) for picture in chosen]))


def as_sheet(images: Float[Tensor, "n c h w"], columns: int) -> Float[Tensor, "rows columns c h w"]:
    """Images row by row as a sheet, whose last row white ones fill up."""
    rows = -(-len(images) // columns)
    white = images.new_ones(rows * columns - len(images), *images.shape[1:])
    return torch.cat([images, white]).unflatten(0, (rows, columns))  # type: ignore[no-any-return,no-untyped-call]
