"""Encoded pictures to raw pixels: decoded safely, cropped, resized, on every core."""

import functools
import io
import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from gen.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
"""The only decoders that are ever given a stranger's bytes."""

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pixels of 8 bits a channel or fewer, which become RGB without loss of range."""

GROUP = 16
"""Pictures that one thread takes at a time: large enough that handing them over costs nothing."""
AHEAD = 8
"""Groups of each thread that wait or are done: enough to work on while whoever takes the pictures waits for a disk."""

T = TypeVar("T")
R = TypeVar("R")


def decode(blob: bytes, where: str) -> Image.Image:
    """The encoded picture `blob` as RGB, turned upright as its EXIF orientation says.

    Raises:
        InputError: not a picture of FORMATS, damaged, or of so many pixels that it is a decompression bomb.
    """
    _bombs_are_errors()
    try:
        picture = Image.open(io.BytesIO(blob), formats=FORMATS)
        width, height = picture.size
        if width * height > (Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError(f"{width}x{height} pixels")
        if picture.mode not in MODES:
            raise ValueError(f"pixels of mode {picture.mode}, not 8 bits a channel")
        picture.load()
        if "exif" in picture.info:
            ImageOps.exif_transpose(picture, in_place=True)
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{where}: a decompression bomb ({error}); remove it or give a smaller picture") from None
    except Exception as error:  # decoders raise whatever a stranger's bytes lead them to
        said = str(error).split("\n")[0].split(" <")[0]
        raise InputError(f"{where}: not a whole picture ({said}); expected one of {', '.join(FORMATS)}") from None


@functools.cache
def _bombs_are_errors() -> None:
    """Once a process: warnings' filters are global, and changing them around each call is not safe among threads."""
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def fit(image: Image.Image, crop: int | None, size: int | None, where: str = "picture") -> UInt8[ndarray, "c h w"]:
    """The centre square of `crop` pixels (None: the largest), resized to `size` (None: as it is), bicubic, antialiased.

    The image is RGB or L (grey), which gives 3 channels or 1.

    Raises:
        InputError: the picture is smaller than the crop.
    """
    width, height = image.size
    side = min(width, height) if crop is None else crop
    if side > min(width, height):
        raise InputError(f"{where}: {width}x{height} pixels; the crop needs at least {side}x{side}")
    left, top = (width - side) // 2, (height - side) // 2
    if (width, height) != (side, side):
        image = image.crop((left, top, left + side, top + side))
    if size is not None and size != side:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    lines = image.tobytes("raw", "RGB;L" if image.mode == "RGB" else "L")  # each line red, green, blue: quick to stack
    return np.frombuffer(lines, np.uint8).reshape(image.height, -1, image.width).transpose(1, 0, 2)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(function: Callable[[T], R], items: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """`function` of every item, in order, on all cores, a bounded number of items at a time.

    Threads serve, since PIL and numpy leave the interpreter's lock while they work. An error in `function` or in
    `items` ends the iteration; what was not begun is not begun any more.
    """
    workers = workers or cores()
    pending: deque[Future[list[R]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    try:
        for group in _batched(items):
            pending.append(pool.submit(lambda group: [function(item) for item in group], group))
            if len(pending) > AHEAD * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batched(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    rest = iter(items)
    while group := tuple(itertools.islice(rest, GROUP)):
        yield group
