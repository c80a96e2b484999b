"""Encoded pictures become the pixels that were meant, whatever surrounds them."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from PIL import Image, PngImagePlugin

from gen.data.pictures import decode, fit, parallel
from gen.errors import InputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
BLUE = (0, 0, 255)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels: ndarray = NOISE, *others: bytes, colour: int = 2, bits: int = 8) -> bytes:
    """A PNG of pixels as they stand in the file (bytes, or rows of packed bits), with other chunks before them."""
    height, width = pixels.shape[:2]
    width = width * 8 // bits if bits < 8 else width
    lines = b"".join(b"\0" + pixels[row].astype(">u2" if bits == 16 else "u1").tobytes() for row in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return SIGNATURE + header + b"".join(others) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **options)
    return file.getvalue()


def same(blob: bytes, expected: ndarray, **options: object) -> None:
    np.testing.assert_array_equal(np.asarray(decode(blob, "a", **options)), expected)


def tiff(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """An EXIF directory with a signed rational of denominator 0, and the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 2)
    value = struct.pack(f"{order}{'H' if kind == 3 else 'I'}", orientation)
    entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value.ljust(4, b"\0")
    rational = struct.pack(f"{order}HHII", 0x011A, 10, 1, 38)
    return head + entry + rational + bytes(4) + struct.pack(f"{order}ii", -1, 0)


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def raw_profile(name: bytes, content: bytes) -> bytes:
    """As ImageMagick writes it: a name, a length, hexadecimal digits in lines."""
    digits = content.hex().encode()
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"\n" + name + b"\n%8d\n" % len(content) + lines + b"\n"


def in_png() -> Iterator[tuple[str, bytes]]:
    packed = zlib.compress(raw_profile(b"exif", b"Exif\0\0" + tiff(6)))
    yield "eXIf", chunk(b"eXIf", tiff(6, ">"))
    yield "a long value", chunk(b"eXIf", tiff(6, "<", 4))
    yield "ImageMagick", chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(b"exif", b"Exif\0\0" + tiff(6)))
    yield "packed", chunk(b"zTXt", b"Raw profile type APP1\0\0" + packed)
    yield "XMP", chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))
    yield "packed XMP", chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6)))


@pytest.mark.parametrize(("where", "block"), [*in_png()], ids=lambda value: value if isinstance(value, str) else "")
def test_a_png_is_turned_from_wherever_it_is_said(where: str, block: bytes) -> None:
    same(png(NOISE, block), np.rot90(NOISE, -1))


def upright(pixels: ndarray, number: int) -> ndarray:
    """By EXIF 2.3, table 6: which edge of the scene the first row and the first column are."""
    turned = pixels.transpose(1, 0, 2) if number >= 5 else pixels
    rows, columns = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[
        number
    ]
    return turned[::rows, ::columns]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("number", range(1, 9))
def test_every_orientation_in_every_format(kind: str, number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    blob = encoded(kind, exif=exif, lossless=True)
    same(blob, upright(np.asarray(Image.open(io.BytesIO(blob))), number))


def test_exif_counts_before_xmp_and_nonsense_does_not() -> None:
    message = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))
    same(png(NOISE, message, chunk(b"eXIf", tiff(3))), NOISE[::-1, ::-1])
    same(png(NOISE, message, chunk(b"eXIf", tiff(77))), np.rot90(NOISE, -1))
    same(png(NOISE, chunk(b"eXIf", b"II*\0" + b"\xff" * 9), chunk(b"zTXt", b"Raw profile type exif\0\0nothing")), NOISE)


def test_profiles_and_texts_of_any_size_are_passed_over() -> None:
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(5 << 20)))
    texts = [chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2 << 20)))] * 40
    damaged = chunk(b"tEXt", b"k\0text")[:-1] + b"?"
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(png(NOISE, profile)))
    same(png(NOISE, profile, *texts, damaged, chunk(b"pHYs", b"1"), chunk(b"acTL", b"")), NOISE)


def test_segments_of_a_jpeg_that_are_large_or_damaged() -> None:
    sound = encoded("JPEG")
    exif = b"Exif\0\0" + tiff(6)
    segments = b"".join(
        b"\xff" + marker + struct.pack(">H", len(content) + 2) + content
        for marker, content in (
            (b"\xe0", b"JFIF"),
            (b"\xe1", exif),
            (b"\xe2", b"ICC_PROFILE\0"),
            (b"\xe2", b"MPF\0" + bytes(9)),
            (b"\xed", b"Photoshop 3.0\x008BIM"),
            (b"\xfe", bytes(60_000)),
        )
    )
    same(sound[:2] + segments + sound[2:], np.rot90(np.asarray(Image.open(io.BytesIO(sound))), -1))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK"])
def test_modes_become_rgb(mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "JPEG" if mode == "CMYK" else "PNG")
    assert decode(file.getvalue(), "a").mode == "RGB"


def hidden() -> Iterator[tuple[str, bytes]]:
    """Pictures of 4x2 that show red on the left, and on the right nothing, but hold green there."""
    red, green = (255, 0, 0), (0, 255, 0)
    rgb = np.array([[red, red, green, green]] * 2, np.uint8)
    alpha = np.array([[255, 255, 0, 0]] * 2, np.uint8)
    rgba = np.dstack([rgb, alpha])
    indices = np.array([[0, 0, 1, 1]] * 2, np.uint8)
    palette = chunk(b"PLTE", bytes((*red, *green)))
    yield "RGBA", png(rgba, colour=6)
    yield "RGBA of 16 bits", png(rgba.astype(np.uint16) * 257, colour=6, bits=16)
    yield "palette with one", png(indices, palette, chunk(b"tRNS", b"\xff\0"), colour=3)
    yield "palette with levels", png(indices, palette, chunk(b"tRNS", b"\xfe\0"), colour=3)
    yield "colour key", png(rgb, chunk(b"tRNS", struct.pack(">3H", *green)))
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "WEBP", lossless=True, exact=True)
    yield "WebP", file.getvalue()


@pytest.mark.parametrize(("kind", "blob"), [*hidden()], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_transparent_shows_the_background(kind: str, blob: bytes) -> None:
    found = np.asarray(decode(blob, "a", BLUE))
    assert np.abs(found[:, :2] - np.array((255, 0, 0))).max() <= 1
    assert (found[:, 2:] == BLUE).all()
    with pytest.raises(InputError, match=r"^a: not opaque, .* or save it without transparency$"):
        decode(blob, "a")


def test_a_transparent_colour_of_sixteen_bits_cannot_be_told_from_its_neighbours() -> None:
    with pytest.raises(InputError, match=r"^a: 16 bits a channel and a transparent colour; save it with an alpha ch"):
        decode(png(np.zeros((2, 2, 3), np.uint16), chunk(b"tRNS", b"\0\1\0\1\0\1"), bits=16), "a", BLUE)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_with_a_transparent_level(bits: int) -> None:
    """Levels 1 and 0 in turn, of which 1 is transparent; with an alpha channel half of white is left."""
    line = {1: 0b10101010, 2: 0b01000100, 4: 0b00010000}.get(bits)
    pixels = np.array([[1, 0]] * 2, np.uint16) if line is None else np.array([[line]], np.uint8)
    found = np.asarray(decode(png(pixels, chunk(b"tRNS", b"\0\1"), colour=0, bits=bits), "a", BLUE))
    assert (found[:, ::2] == BLUE).all()
    assert (found[:, 1::2] == 0).all()
    half = np.full((2, 2, 2), (255, 128), np.uint8)
    same(png(half, colour=4), np.full((2, 2, 3), (128, 128, 255)), background=BLUE)


def test_an_alpha_channel_that_hides_nothing_needs_no_background() -> None:
    same(png(np.dstack([NOISE, np.full((4, 6), 255, np.uint8)]), colour=6), NOISE)


@pytest.mark.parametrize("colour", [0, 2])
def test_of_sixteen_bits_the_upper_eight_are_kept(colour: int) -> None:
    values = np.array([[0, 255, 256, 40_000, 65_535]], np.uint16)
    pixels = np.dstack([values] * 3) if colour == 2 else values
    same(png(pixels, colour=colour, bits=16), np.dstack([values >> 8] * 3).astype(np.uint8))


def test_a_pgm_of_sixteen_bits() -> None:
    same(b"P5 2 1 65535\n" + struct.pack(">2H", 40_000, 65_535), np.array([[[156] * 3, [255] * 3]]))


def test_numbers_that_are_not_whole() -> None:
    with pytest.raises(InputError, match=r"a: not a whole picture \(pixels of mode F; save it with 8 bits a channel\)"):
        decode(b"Pf\n1 1\n-1.0\n" + struct.pack("<f", 0.5), "a")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_decompression_bomb(side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    blob = SIGNATURE + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match=r"bomb.png: a decompression bomb"):
        decode(blob, "bomb.png")


def test_truncated_jpeg() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, "JPEG")
    for length in (10, 500, len(file.getvalue()) - 100):
        with pytest.raises(InputError, match=r"a.jpg: not a whole picture"):
            decode(file.getvalue()[:length], "a.jpg")


def rich(kind: str) -> bytes:
    """A picture with much around it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(3).decode(), zip=True)
    return encoded(kind, exif=exif, icc_profile=bytes(300), xmp=xmp(3), pnginfo=info)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=4),
)
def test_a_mutated_picture_is_read_or_refused_in_one_line(kind: str, edits: list[tuple[float, bytes, int]]) -> None:
    blob = rich(kind)
    for place, what, cut in edits:
        at = int(place * len(blob))
        blob = blob[:at] + what + blob[at + cut :]
    try:
        assert decode(blob, "a", BLUE).mode == "RGB"
    except InputError as error:
        assert str(error).startswith("a: ")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


def test_parallel_keeps_order_and_bounds() -> None:
    taken = []

    def items() -> Any:
        for i in range(1000):
            taken.append(i)
            yield i

    results = parallel(lambda i: i * i, items(), workers=2)
    assert next(results) == 0
    assert len(taken) < 300
    assert list(results) == [i * i for i in range(1, 1000)]


def test_parallel_ends_with_the_first_error() -> None:
    def fail(i: int) -> int:
        if i == 40:
            raise InputError("forty")
        return i

    results = parallel(fail, range(10**9), workers=2)
    with pytest.raises(InputError, match="forty"):
        list(results)


def test_centre_square_then_bicubic() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 21, 3), np.uint8))
    expected = np.asarray(picture.crop((0, 4, 21, 25)).resize((8, 8), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    np.testing.assert_array_equal(fit(picture, None, 8), expected)
    np.testing.assert_array_equal(fit(picture, 10, None), np.asarray(picture)[10:20, 5:15].transpose(2, 0, 1))
    np.testing.assert_array_equal(fit(picture.convert("L"), 21, 21)[0], np.asarray(picture.convert("L"))[4:25])
    with pytest.raises(InputError, match=r"a.jpg: 21x30 pixels; the crop needs at least 22x22"):
        fit(picture, 22, 8, "a.jpg")
