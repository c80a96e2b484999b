"""A person's own folders of pictures to translate: one, or two, packed into one archive when they are fetched."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gen.data.formats.listing import Listed
from gen.data.pictures import Colour
from gen.data.progress import progress
from gen.settings import Settings

LARGEST = 256 * 2**20
"""Bytes of one encoded picture."""
MOST = 10_000_000
"""Pictures of an archive."""
SPLIT_OF = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""Name of a sub-folder -> the split of what is in it."""


class Folders(Settings):
    """What sources of such folders have in common in params.yaml."""

    folder: str | None = None
    """One folder, laid out as the source says. Left out when `inputs` and `targets` are given."""
    inputs: str | None = None
    """Folder of what is translated; with `targets`."""
    targets: str | None = None
    """Folder of what it is translated into; of pairs under the same names."""
    resolution: int = Field(ge=1, le=1024)
    """Pixels of height and width of each picture."""
    channels: Literal[1, 3] = 3
    """1: grey (ITU-R 601 luma); 3: RGB."""
    background: Colour | None = None
    """Red, green and blue, 0 to 255, that pictures are laid over; None: one that is not opaque is refused."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of the pictures, where none are in a folder of their own."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Share of the pictures, likewise."""

    @model_validator(mode="after")
    def _consistent(self) -> "Folders":
        if (self.folder is None) == (self.inputs is None) or (self.inputs is None) != (self.targets is None):
            raise ValueError("give either folder, or inputs and targets")
        if self.inputs is not None and self.inputs == self.targets:
            raise ValueError(f"inputs and targets: both are {self.inputs}; give two folders")
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on; give shares that sum to less than 1")
        return self

    @property
    def given(self) -> dict[str, str]:
        """Each folder by its name in the archive, which is none for a single one, else has a slash behind it."""
        if self.folder is not None:
            return {"": self.folder}
        return {"inputs/": self.inputs or "", "targets/": self.targets or ""}


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
