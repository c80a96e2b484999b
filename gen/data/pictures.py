"""Encoded pictures to raw pixels: decoded safely, cropped, resized, on every core."""

import functools
import io
import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, TypeVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from pydantic import Field

from gen.data.metadata import bare, orientation
from gen.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
"""The only decoders that are ever given a stranger's bytes."""

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pixels of 8 bits a channel or fewer, which become RGB without loss of range."""
DEEP = ("I", "I;16")
"""Grey of 16 bits; PIL gives 16 bits of colour as 8."""
DEPTH = "8 bits a channel; of 16 the upper 8"
UPRIGHT = "turned as EXIF or XMP says"
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture of each orientation upright."""
Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]
"""Red, green and blue, 0 to 255."""

PART = 1024
"""Pictures of a chunk of rows."""
GROUP = 16
"""Pictures that one thread takes at a time: large enough that handing them over costs nothing."""
AHEAD = 8
"""Groups of each thread that wait or are done: enough to work on while whoever takes the pictures waits for a disk."""

T = TypeVar("T")
R = TypeVar("R")


def decode(blob: bytes, where: str, background: Colour | None = None, most: int | None = None) -> Image.Image:
    """The encoded picture `blob` as RGB of 8 bits a channel (DEPTH), upright, laid over the background.

    What surrounds the pixels (profiles, comments, EXIF) may be damaged or large; of it only the orientation counts.
    `most` is how many pixels it may have; None: as many as PIL takes for no bomb, 89 million.

    Raises:
        InputError: not a picture of FORMATS, damaged, of so many pixels that it is a decompression bomb, of numbers
            that are not whole, or not opaque while no background is given.
    """
    _bombs_are_errors()
    try:
        stripped = bare(blob)
        picture = Image.open(io.BytesIO(stripped.blob), formats=FORMATS)
        width, height = picture.size
        if width * height > (most or Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError(f"{width}x{height} pixels")
        if picture.mode not in (*MODES, *DEEP):
            raise ValueError(f"pixels of mode {picture.mode}; save it with 8 bits a channel")
        bits = stripped.blob[24] if picture.format == "PNG" else 8
        picture.load()
        opaque = _over(picture, bits, background, where)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{where}: a decompression bomb ({error}); remove it or give a smaller picture") from None
    except Exception as error:  # decoders raise whatever a stranger's bytes lead them to
        message = str(error).split("\n")[0].split(" <")[0]
        raise InputError(f"{where}: not a whole picture ({message}); expected one of {', '.join(FORMATS)}") from None
    blocks = stripped.blocks or [picture.info[name] for name in ("exif", "xmp") if name in picture.info]
    turn = TURNS.get(orientation(blocks))
    return opaque if turn is None else opaque.transpose(turn)


def _over(picture: Image.Image, bits: int, background: Colour | None, where: str) -> Image.Image:
    """The picture, of which a PNG had so many bits a channel, as RGB over the background."""
    key = picture.info.get("transparency")
    alpha = None
    if picture.mode in ("PA", "LA", "RGBA") or (picture.mode == "P" and key is not None):
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
    elif key is not None:
        if picture.mode == "RGB" and bits == 16:  # PIL gives the upper 8 bits, which other colours may have too
            raise InputError(f"{where}: 16 bits a channel and a transparent colour; save it with an alpha channel")
        alpha = _keyed(picture, key, bits)
        del picture.info["transparency"]
    if picture.mode in DEEP:
        picture = Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    colours = picture if picture.mode == "RGB" else picture.convert("RGB")
    if alpha is None or alpha.getextrema()[0] == 255:
        return colours
    if background is None:
        remedy = "give the data set's section a background such as [255, 255, 255], or save it without transparency"
        raise InputError(f"{where}: not opaque, and what lies behind is not said; {remedy}")
    behind = Image.new("RGB", picture.size, background)
    behind.paste(colours, mask=alpha)
    return behind


def _keyed(picture: Image.Image, key: int | tuple[int, ...], bits: int) -> Image.Image:
    """Alpha of a PNG of which one colour is transparent: a key of so many bits a channel, as its pixels had."""
    pixels = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    keys = np.array(key, np.int64)
    if bits in (2, 4):
        keys *= 255 // (2**bits - 1)
    same = pixels == keys
    return Image.fromarray(np.where(same.all(2) if same.ndim == 3 else same, 0, 255).astype(np.uint8))


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


def in_parts(function: Callable[[T], R | None], items: Sequence[T]) -> Iterator[tuple[Sequence[T], list[R]]]:
    """PART items at a time, and `function` of each, by `parallel`; of those where it is None, nothing."""
    made = parallel(function, items)
    for start in range(0, len(items), PART):
        part = items[start : start + PART]
        yield part, [one for _ in part if (one := next(made)) is not None]


def _batched(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    rest = iter(items)
    while group := tuple(itertools.islice(rest, GROUP)):
        yield group
