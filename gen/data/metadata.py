"""What surrounds the pixels of an encoded picture: all of it is left out, except which way is up.

Profiles, comments, thumbnails and notes of cameras are often large or damaged while the pixels are sound, and decoders
refuse the picture for them. So a PNG or JPEG is cut down to what its pixels depend on before it is decoded.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks of a PNG that its pixels depend on."""
COLOURS = {0xE0: 16, 0xEE: 14}
"""The application segments of a JPEG that its colours depend on (JFIF, Adobe), and how long whole ones are."""
EXIF, COMMENT, SCAN, RESTARTS = 0xE1, 0xFE, 0xDA, range(0xD0, 0xDA)
LONGEST = 1 << 20
"""Bytes of an unpacked text of a PNG that are looked at."""
PROFILE = re.compile(rb"Raw profile type (?:exif|APP1|xmp)\0", re.IGNORECASE)
"""Keyword under which ImageMagick and ExifTool write a block of metadata into a PNG, as hexadecimal digits."""
XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")
TAG, SHORT, LONG = 0x0112, 3, 4


class Bare(NamedTuple):
    """A picture without what surrounds its pixels."""

    blob: bytes
    blocks: Sequence[bytes]
    """What was left out and may say which way is up: EXIF and XMP."""


def bare(blob: bytes) -> Bare:
    """A PNG or JPEG cut down to its pixels. Anything else, and whatever follows a fault, stays as it is."""
    if blob.startswith(PNG):
        return _png(blob)
    return _jpeg(blob) if blob.startswith(JPEG) else Bare(blob, ())


def orientation(blocks: Sequence[bytes]) -> int:
    """How a picture is to be turned: EXIF's number, 1 to 8, from EXIF if it stands there, else from XMP; else 1."""
    for block in blocks:
        if 1 <= (found := _exif(block)) <= 8:
            return found
    for block in blocks:
        if message := XMP.search(block):
            return int(message[1])
    return 1


def _png(blob: bytes) -> Bare:
    kept, blocks, at = [PNG], [], len(PNG)
    while at + 12 <= len(blob):
        length, kind = struct.unpack_from(">I4s", blob, at)
        content = blob[at + 8 : at + 8 + length]
        if kind in PIXELS:
            kept.append(blob[at : at + 12 + length])
        elif kind == b"eXIf":
            blocks.append(content)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            blocks += _text(kind, content)
        at += 12 + length
    return Bare(b"".join(kept), blocks)


def _text(kind: bytes, content: bytes) -> Iterator[bytes]:
    """The EXIF or XMP in a text chunk of a PNG."""
    keyword, _, text = content.partition(b"\0")
    packed = kind == b"zTXt"
    if kind == b"iTXt":  # whether it is packed, how, the language, the keyword in it
        packed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
    elif packed:
        text = text[1:]
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, LONGEST)
        except zlib.error:
            return
    if PROFILE.fullmatch(keyword + b"\0"):  # a name, a length, and digits
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", b"".join(text.split()[2:]))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    else:
        yield text


def _jpeg(blob: bytes) -> Bare:
    kept, blocks, at = [], [], 0
    while at + 4 <= len(blob) and blob[at] == 0xFF:
        marker, length = struct.unpack_from(">xBH", blob, at)
        if marker == 0xFF or marker in RESTARTS:  # a filler; markers that stand alone
            end = at + (1 if marker == 0xFF else 2)
        elif marker == SCAN or length < 2:
            break
        else:
            end = at + 2 + length
        if marker == EXIF:
            blocks.append(blob[at + 4 : end])
        if marker not in (COMMENT, *range(0xE0, 0xF0)) or length >= COLOURS.get(marker, 1 << 16):
            kept.append(blob[at:end])
        at = end
    return Bare(b"".join([*kept, blob[at:]]), blocks)


def _exif(block: bytes) -> int:
    """The orientation in the first directory of an EXIF block (a TIFF); 0 where it is not said."""
    tiff = block[6:] if block.startswith(b"Exif\0\0") else block
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
            if tag == TAG and kind in (SHORT, LONG):
                return int(struct.unpack_from(f"{order}{'H' if kind == SHORT else 'I'}", tiff, at + 8)[0])
    except struct.error:
        pass
    return 0
