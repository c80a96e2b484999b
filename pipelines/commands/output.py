"""What a command of a model writes: a picture, a film or numbers, by the ending of the file's name."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen.errors import InputError
from gen.figures.film import as_sheet, frames, gif, mp4, there_and_back
from gen.figures.grid import grid, png

ENDINGS = (".png", ".gif", ".mp4", ".npz")


def check_out(out: Path) -> None:
    """The file can be written: asked before anything is computed.

    Raises:
        InputError: its name has another ending, or its folder is not there.
    """
    if out.suffix not in ENDINGS:
        raise InputError(f"--out: {out}; use a name that ends in .png, .gif, .mp4 or .npz")
    if not out.parent.is_dir():
        raise InputError(f"{out}: cannot be written (no folder {out.parent}); make it first")


def write(
    out: Path, images: Float[Tensor, "n c h w"], columns: int, *, picture: Image.Image | None = None, **arrays: Tensor
) -> str:
    """Images as a picture; as a film, a column of the picture after the other, there and back; or as numbers.

    Args:
        out: the file; its ending says what it becomes.
        images: in [-1, 1].
        columns: of the picture.
        picture: instead of the plain one.
        arrays: what an .npz file has besides `images`.

    Returns:
        What was written.

    Raises:
        InputError: it cannot be written.
    """
    check_out(out)
    if out.suffix in (".gif", ".mp4"):
        return film(out, there_and_back(frames(as_sheet(images, columns))))
    said = f"{len(images):,} images of {'x'.join(map(str, images.shape[1:]))}"
    if out.suffix == ".png":
        return _write(out, png(picture or grid(images, columns=columns)), said)
    buffer = io.BytesIO()
    values: dict[str, Any] = {name: one.numpy() for name, one in arrays.items()}
    np.savez_compressed(buffer, images=images.numpy(), **values)
    return _write(out, buffer.getvalue(), said)


def film(out: Path, pictures: list[Image.Image]) -> str:
    """Pictures as a GIF or an MP4. Returns what was written. Raises InputError when it cannot be."""
    made = gif(pictures) if out.suffix == ".gif" else mp4(pictures)
    return _write(out, made, f"a film of {len(pictures)} frames")


def _write(out: Path, content: bytes, said: str) -> str:
    """A file that is whole or as it was."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)
    return f"{out}: {said}"
