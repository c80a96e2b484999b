"""Pictures of one's own, translated by a trained model."""

from collections.abc import Sequence
from pathlib import Path

import torch

from gen.data.formats.listing import SUFFIXES
from gen.data.progress import progress
from gen.errors import InputError
from gen.extractors import AT_ONCE
from gen.figures.grid import alternating, grid, png
from pipelines.commands.models import model_at, read_pictures
from pipelines.commands.output import check_out, write

PAIRS = 4
"""Pairs of given and made in a row of a sheet."""


def translate(where: str, pictures: Sequence[Path], *, seed: int, fit: bool, back: bool, out: Path) -> str:
    """Translate pictures, or those of folders: into a folder, one file each of its name, or as one sheet or file.

    Args:
        where: the model.
        pictures: files, or folders of them.
        seed: of what is random about the translation.
        back: whether they are of the target's domain, and translated into the other one.
        fit: whether the centre square of each is resized to what the model is given; otherwise they have that size.
        out: a folder, if its name has no ending; else a picture of pairs of given and made, or numbers.

    Returns:
        What was written.

    Raises:
        InputError: the model translates no pictures, there are none, two of one name would be written into a folder,
            or one cannot be read.
    """
    model = model_at(where)
    shape = model.translates
    if shape is None:
        raise InputError(f"{where}: {model.name} translates no pictures; see gen families for those that do")
    into_folder = not out.suffix
    if not into_folder:
        check_out(out)
    elif out.exists() and not out.is_dir():
        raise InputError(f"--out: {out} is a file; give a folder, or a name that ends in .png")
    files = found(pictures)
    names = [f"{file.stem}.png" for file in files]
    if into_folder and (twice := sorted({name for name in names if names.count(name) > 1})):
        raise InputError(f"{twice[0]}: {names.count(twice[0])} of the pictures would become this file; name them apart")
    images = read_pictures(files, shape, fit)
    made = []
    with progress("translate", "pictures", len(files)) as move:
        for part in torch.split(images, AT_ONCE):
            made.append(model.translate(part, seed=seed, back=back))
            move(len(made[-1]))
    results = torch.cat(made)
    if not into_folder:
        beside = images.expand(-1, results.shape[1], -1, -1) if images.shape[1] == 1 else images
        pairs = alternating(beside, results) if beside.shape == results.shape else results
        picture = grid(pairs, columns=2 * PAIRS if len(files) > 1 else 2)
        return write(out, results, PAIRS, picture=picture, given=images)
    out.mkdir(parents=True, exist_ok=True)
    for name, result in zip(names, results, strict=True):
        (out / name).write_bytes(png(grid(result[None], columns=1, scale=1)))
    return f"{out}: {len(files):,} pictures of {'x'.join(map(str, results.shape[1:]))}"


def found(pictures: Sequence[Path]) -> list[Path]:
    """The files, and those of the folders, in order. Raises InputError where there is none."""
    files: list[Path] = []
    for path in pictures:
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: holds no picture ({', '.join(SUFFIXES)})")
        files += inside
    return files
