"""A person's own folders of pictures, packed into one archive when they are fetched."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gen.data.formats.listing import Listed
from gen.data.progress import progress

LARGEST = 256 * 2**20
"""Bytes of one encoded picture."""
MOST = 10_000_000
"""Pictures of an archive."""
SPLIT_OF = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""Name of a sub-folder -> the split of what is in it."""


def pack(archive: Path, listed: Mapping[str, Sequence[Listed]], folders: Mapping[str, str]) -> None:
    """Write the pictures of several folders into an archive, each under the name of its folder there.

    Args:
        archive: the file to write.
        listed: name in the archive, empty or with a slash behind it -> the pictures of a folder.
        folders: the same name -> that folder.
    """
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed,
        progress("copy pictures", "pictures", sum(map(len, listed.values()))) as add,
    ):
        for name, pictures in listed.items():
            for picture in pictures:
                packed.writestr(zipfile.ZipInfo(name + picture.path), (Path(folders[name]) / picture.path).read_bytes())
                add(1)
