"""Faulty files of CelebA: its zip and its lists, each with what the line says of it."""

import io
import stat
import struct
import zipfile
import zlib

from PIL import Image

from gen.data.sources import celeba
from tests.data.sources.published import (
    celeba_attributes,
    celeba_members,
    lines,
    picture,
    published,
    zipped,
)

Case = tuple[str, str, bytes | None, str]
"""Source, file, its faulty content (None: it is missing), what the line says."""


def half(name: str, file: str) -> bytes:
    return published(name)[file][: len(published(name)[file]) // 2]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces many pixels."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + file.getvalue()[24:29]
    return file.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + file.getvalue()[33:]


def zip_with(name: str, content: bytes = b"x", mode: int = 0o644 | stat.S_IFREG, method: int = 0) -> bytes:
    file = io.BytesIO(zipped(celeba_members()))
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(info, content)
    return file.getvalue()


def celeba_zip_cases() -> list[Case]:
    sound = zipped(celeba_members())
    third = "img_align_celeba/000003.jpg"
    without = celeba_members()
    del without[third]

    def changed(content: bytes) -> bytes:
        return zipped({**celeba_members(), third: content})

    encrypted = bytearray(sound)
    encrypted[sound.rindex(b"PK\x01\x02") + 8] |= 1
    jpeg = celeba_members()[third]
    flipped = sound.replace(jpeg, jpeg[:900] + b"\x55" + jpeg[901:])
    return [
        ("celeba", celeba.IMAGES, content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "not a whole zip archive"),
            (sound[: len(sound) // 2], "not a whole zip archive"),
            (zipped(without), "1 images of list_attr_celeba.txt are missing, first img_align_celeba/000003.jpg"),
            (zip_with("img_align_celeba/000007.jpg"), "1 entries that list_attr_celeba.txt does not name"),
            (zip_with("../evil.jpg"), "'../evil.jpg': its name leads out"),
            (zip_with("/etc/evil.jpg"), "'/etc/evil.jpg': its name leads out"),
            (zip_with("a\\..\\evil.jpg"), "its name leads out"),
            (zip_with("link.jpg", b"/etc/passwd", 0o777 | stat.S_IFLNK), "'link.jpg': a link, a device or sparse"),
            (zip_with("big.jpg", bytes(2 << 20)), "'big.jpg': 2097152 bytes, expected at most 1048576"),
            (zip_with("a.jpg", b"x" * 99, method=zipfile.ZIP_BZIP2), "'a.jpg': encrypted or of an unusual"),
            (bytes(encrypted), "000006.jpg': encrypted or of an unusual"),
            (flipped, "000003.jpg': damaged: Bad CRC-32"),
            (changed(jpeg[: len(jpeg) // 2]), "member img_align_celeba/000003.jpg: not a whole picture"),
            (changed(b""), "member img_align_celeba/000003.jpg: not a whole picture"),
            (changed(picture(3, (178, 178))), "000003.jpg: 178x178 pixels, expected 178x218"),
            (changed(bomb(60_000, 60_000)), "000003.jpg: a decompression bomb"),
            (changed(bomb(1_000, 1_000)), "000003.jpg: a decompression bomb .1000x1000"),
        )
    ]


def celeba_list_cases() -> list[Case]:
    count, names, *rows = celeba_attributes()
    parts = published("celeba")[celeba.PARTITION]
    return [
        ("celeba", celeba.ATTRIBUTES, content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "damaged or truncated"),
            (half("celeba", celeba.ATTRIBUTES), "damaged or truncated"),
            (lines([count]), "line 2: expected the names of the 40"),
            (lines([count, names.replace("Smiling", "Laughing"), *rows]), "line 2: expected the names of the 40"),
            (lines(["7", names, *rows]), "line 1 announces '7' images, but 6 lines follow"),
            (lines([count, names, *rows[:-1], ""]), "line 8: expected a name and 40 times"),
            (lines([count, names, rows[0][:-2] + "0", *rows[1:]]), "line 3: expected a name and 40 times 1 or -1"),
            (lines([count, names, rows[0] + " 1", *rows[1:]]), "line 3: expected a name and 40 times 1 or -1"),
            (lines([count, names, rows[1], *rows[1:]]), "line 4: 000002.jpg occurs twice"),
            (lines([count, names, *rows]).replace(b"000001", b"00000\xb9"), "damaged or truncated"),
            (lines(["0", names]), "list_eval_partition.txt: 6 entries that list_attr_celeba.txt does not name"),
        )
    ] + [
        ("celeba", celeba.PARTITION, content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "damaged or truncated"),
            (parts[:-14], "1 images of list_attr_celeba.txt are missing, first 000006.jpg"),
            (parts.replace(b"jpg 2", b"jpg 3"), "line 5: expected a name and 0, 1 or 2"),
            (parts + b"000007.jpg 0\r\n", "1 entries that list_attr_celeba.txt does not name, first '000007.jpg'"),
            (parts + b"000001.jpg 0\r\n", "line 7: 000001.jpg occurs twice"),
        )
    ]
