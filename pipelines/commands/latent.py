"""Pictures of a model's latent space: analogies, neighbours, attributes, and where one's own pictures lie in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Inference
from gen.errors import InputError
from gen.family import Noise
from gen.figures.manifold import arithmetic_sheet, j_sheet, mine_panels, traversal_sheet
from gen.figures.manifold import decoupled_sheet as decoupled
from gen.figures.manifold import mine as mine_grid
from gen.figures.manifold import offsets_sheet as offsets
from gen.latent.attributes import attribute_vector, balanced_vector, shares, synthetic_vector
from gen.latent.encoding import decoded
from gen.latent.labels import Attributes, attribute, attributes
from gen.latent.sharpness import blurred
from gen.model import Model, whole
from pipelines.commands.models import (
    data_of,
    explorable,
    found_latents,
    latent,
    read_latents,
    read_pictures,
    rows_of,
)
from pipelines.commands.output import check_out, write

SHOWN = 8
"""Held-out images that are shown with an attribute, or projected."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where latent vectors of images come from, as the commands' options say it."""

    project: bool = False
    """By projection, where the encoder is not wanted or there is none."""
    data: Path | None = None
    """The prepared data set, where it is not the one that the model names."""
    fit: bool = False
    """Pictures of one's own are cropped and resized."""
    seed: int = 0
    """Of draws."""


def errors(values: Float[Tensor, " n"]) -> str:
    """Errors of reconstruction as people read them."""
    return f"mean squared error of a pixel in [-1, 1]: {', '.join(f'{value:.3f}' for value in values.tolist())}"


def analogy(
    where: str, pictures: Sequence[Path], latents: Path | None, *, rows: int, columns: int, source: Source, out: Path
) -> str:
    """Draw the J-diagram of A : B :: C : D.

    A, B and C are three pictures; or the vectors of a file; else the first three validation images or, without an
    encoder, three draws of the prior.

    Returns:
        What was written, and what A, B and C are.

    Raises:
        InputError: there are not three, or the model cannot have them.
    """
    check_out(out)
    if min(rows, columns) < 2:
        raise InputError(f"--rows {rows} --columns {columns}: a diagram has four corners; use at least 2 of each")
    model = explorable(where)
    inputs = None
    if pictures or (latents is None and (source.project or isinstance(model.family, Inference))):
        if len(pictures) not in (0, 3):
            raise InputError(f"{len(pictures)} pictures; an analogy has three: A is to B as C is to what?")
        inputs = (
            read_pictures(pictures, model.data.image, source.fit)
            if pictures
            else rows_of(data_of(where, model, source.data), "validation", 3, model).images
        )
        found = found_latents(model, inputs, by_projection=source.project, seed=source.seed)
        z, said = (
            found.z,
            f"{'your pictures' if pictures else 'the first three validation images'}; {errors(found.error)}",
        )
    elif latents is not None:
        z, said = read_latents(latents, model), str(latents)
        if len(z) != 3:
            raise InputError(f"{latents}: {len(z)} latent vectors; an analogy has three: A, B and C")
    else:
        z, said = _prior(where, model)(source.seed, 3), f"draws of the prior by seed {source.seed}"
    sheet = j_sheet(model.family, z, rows, columns, inputs)  # type: ignore[arg-type]
    return f"{write(out, sheet.flatten(0, 1), sheet.shape[1], z=z)}\nA, B, C: {said}"


def arithmetic(where: str, concepts: Sequence[str], source: Source, out: Path) -> str:
    """Draw the arithmetic of three concepts, each three samples by their numbers among those of `gen sample`.

    Raises:
        InputError: the family has no prior, or these are not three concepts of three samples.
    """
    check_out(out)
    model = latent(where)
    chosen = [_numbers(one) for one in concepts]
    draws = _prior(where, model)(source.seed, 1 + max(max(one) for one in chosen))
    examples = [draws[one] for one in chosen]
    sheet = arithmetic_sheet(model.family, *examples)  # type: ignore[arg-type]
    said = write(out, sheet.flatten(0, 1), sheet.shape[1], z=torch.stack(examples))
    return f"{said}\nrows: three samples of each concept and their mean; right: the result in latent space, in pixels"


def mine(where: str, start: str, *, rows: int, columns: int, gap: int, images: int, source: Source, out: Path) -> str:
    """Draw the MINE grid around a test image, by its number, or around a picture of one's own.

    Returns:
        What was written, and the numbers of the neighbours, each of which may be the next start.

    Raises:
        InputError: the family has no encoder, or the data set no such image.
    """
    check_out(out)
    model = explorable(where)
    dataset = data_of(where, model, source.data)
    held = rows_of(dataset, "test", whole(images, "images"), model).images
    number = int(start) if start.isdigit() else None
    if number is not None and number >= len(held):
        raise InputError(f"--start: {number}; the {len(held)} test images are numbered from 0")
    own = held[:0] if number is not None else read_pictures([Path(start)], model.data.image, source.fit)
    both = found_latents(model, torch.cat([held, own]), by_projection=source.project, seed=source.seed)
    store, seed = both.z[: len(held)], both.z[-1 if number is None else number]
    found = mine_grid(model.family, store, seed, rows=rows, columns=columns, gap=gap)  # type: ignore[arg-type]
    sheet = found.sheet
    said = write(out, sheet.flatten(0, 1), sheet.shape[1], picture=mine_panels(found, held), z=found.z.flatten(0, 1))
    listed = "\n".join(" ".join(f"{number:5}" for number in row) for row in found.chosen.tolist())
    return f"{said}\nneighbours among {len(held)} test images of {dataset.name}:\n{listed}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which attribute vector, as the options of `gen attributes` say it."""

    name: str | None = None
    balance: str | None = None
    """Another attribute, across which it is balanced."""
    second: str | None = None
    """Another attribute, on one grid with the first; each is balanced across the other."""
    blur: float | None = None
    """A synthetic attribute: a Gaussian blur of so many pixels."""


def attribute_pictures(
    where: str, wanted: Wanted, *, images: int, reach: float, steps: int, source: Source, out: Path
) -> str:
    """Draw test images along attribute vectors of training images, in both directions; or list the attributes.

    Returns:
        What was written, and how the attributes are correlated.

    Raises:
        InputError: there is no such attribute, or no vector of it.
    """
    check_out(out)
    model = explorable(where)
    dataset = data_of(where, model, source.data)
    train = rows_of(dataset, "train", whole(images, "images"), model)
    known = attributes(train, dataset.classes)
    if wanted.name is None and wanted.blur is None:
        listed = "\n".join(f"{name:>24} {has.double().mean():6.1%}" for name, has in known.items())
        return f"attributes of {len(train.images):,} training images of {dataset.name}:\n{listed}"
    for name in (wanted.name, wanted.balance, wanted.second):
        if name is not None:
            attribute(known, name)
    shown = rows_of(dataset, "test", SHOWN, model).images
    both = found_latents(model, torch.cat([train.images, shown]), by_projection=source.project, seed=source.seed)
    z, inputs = both.z[: len(train.images)], both.z[len(train.images) :]
    alphas = torch.linspace(-reach, reach, 2 * whole(steps, "steps") + 1)
    family: Any = model.family
    said = ""
    if wanted.blur is not None:
        again = found_latents(model, blurred(train.images, wanted.blur), by_projection=source.project, seed=source.seed)
        vectors = [synthetic_vector(z, again.z)]
        if wanted.name is not None:
            vectors.insert(0, attribute_vector(z, attribute(known, wanted.name), wanted.name))
        sheet = offsets(family, shown, inputs, -reach * torch.stack(vectors))
        said = "\nrows: test images, reconstructions, " + (
            f"less {wanted.name}, less the synthetic blur" if wanted.name else "less the synthetic blur"
        )
    elif wanted.second is not None and wanted.name is not None:
        across, down = (balanced(z, known, *pair) for pair in _both_ways(wanted.name, wanted.second))
        sheet = decoupled(family, inputs[0], across, down, alphas=alphas, image=shown[0])
        said = f"\nto the right {wanted.name}, downwards {wanted.second}, each balanced across the other"
        vectors = [across, down]
    else:
        name, other = str(wanted.name), wanted.balance
        vectors = [attribute_vector(z, known[name], name) if other is None else balanced(z, known, name, other)]
        sheet = traversal_sheet(family, inputs, vectors[0], alphas, shown)
        said = f"\ntest images, then {name} from {-reach:g} to {reach:g}; 0, the reconstruction, in the middle"
    for other in (wanted.balance, wanted.second):
        if other is not None:
            said += f"\n{_shares(known, str(wanted.name), other)}"
    return write(out, sheet.flatten(0, 1), sheet.shape[1], vectors=torch.stack(vectors)) + said


def project(where: str, pictures: Sequence[Path], *, steps: int, source: Source, out: Path) -> str:
    """Find the latent vectors of pictures of one's own by optimisation, or those of the first test images.

    Returns:
        What was written, and the errors, with those of the encoder where there is one.

    Raises:
        InputError: the family has no prior, or a picture is not of the model's size.
    """
    check_out(out)
    model = latent(where)
    images = (
        read_pictures(pictures, model.data.image, source.fit)
        if pictures
        else rows_of(data_of(where, model, source.data), "test", SHOWN, model).images
    )
    found = found_latents(model, images, by_projection=True, seed=source.seed, steps=whole(steps, "steps"))
    family: Any = model.family
    columns, said = [images, decoded(family, found.z)], f"projected, {errors(found.error)}"
    if isinstance(model.family, Inference):
        by_encoder = found_latents(model, images, by_projection=False)
        columns.insert(1, decoded(family, by_encoder.z))
        said = f"encoded, {errors(by_encoder.error)}\n{said}"
    sheet = torch.stack(columns, dim=1)
    return f"{write(out, sheet.flatten(0, 1), sheet.shape[1], z=found.z, error=found.error)}\n{said}"


def balanced(z: Float[Tensor, "n d"], known: Attributes, name: str, other: str) -> Float[Tensor, " d"]:
    """The vector of an attribute, balanced across another. Raises InputError."""
    return balanced_vector(z, attribute(known, name), attribute(known, other), name, other)


def _both_ways(first: str, second: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (first, second), (second, first)


def _shares(known: Attributes, name: str, other: str) -> str:
    (both, alone), (without, neither) = shares(known[name], known[other]).tolist()
    return (
        f"training images: {both:.1%} {name} and {other}, {alone:.1%} {name} alone, {without:.1%} {other} alone, "
        f"{neither:.1%} neither"
    )


def _prior(where: str, model: Model) -> Any:
    """Latent vectors of the samples that `gen sample` draws, by seed and number of rows. Raises InputError."""
    latent(where)
    family: Any = model.family
    return lambda seed, rows: family.prior(Noise(seed, rows=rows))


def _numbers(concept: str) -> list[int]:
    parts = concept.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"{concept!r}: give three samples by their numbers in gen sample, counted from 0: 3,17,40")
    return [int(part) for part in parts]
