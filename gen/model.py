"""A trained model as people use it: samples by their number, a seed and a class, without gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen import export
from gen.abilities import Conditional, Cyclic
from gen.card import write_card
from gen.conditions import draw, given, spread
from gen.errors import InputError
from gen.family import CHUNK, Condition, DataSpec, Family, ImageShape, Noise
from gen.settings import nearest

Label = int | str


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A family with its weights, and what is known of the data that it was trained on."""

    family: Family
    """The networks and losses: what `gen/families/<name>.py` defines."""
    name: str
    """Of the family."""
    settings: Mapping[str, Any]
    """The `model` section of its run."""
    data: DataSpec
    classes: Sequence[str] = ()
    """Names of the labels, in their order."""
    examples: Condition | None = None
    """The condition of samples of which nothing else is asked."""
    notes: Mapping[str, Any]
    """Whatever else model.json has: data set, run, step."""

    def __repr__(self) -> str:
        weights = sum(one.numel() for _, one in self.family.named_parameters())
        shape = "x".join(map(str, self.data.image))
        condition = f", given {', '.join(self.family.conditions_on)}" if isinstance(self.family, Conditional) else ""
        return f"Model({self.name}: images of {shape}, {weights:,} weights{condition})"

    def sample(
        self, rows: int | Noise = 64, *, seed: int = 0, label: Label | Sequence[Label] | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Samples in [-1, 1], on the CPU and without gradients; the same ones for the same seed.

        Args:
            rows: how many; or the Noise that they are drawn from.
            seed: of the noise.
            label: the class of all of them, its number or name, or one for each; None: what the model has examples of.

        Raises:
            InputError: the family does not sample, knows no classes, or not this one.
        """
        noise = rows if isinstance(rows, Noise) else Noise(seed, rows=whole(rows, "rows"))
        condition = spread(self.examples, noise.rows) if label is None else self.asked(label, noise.rows)
        with torch.no_grad():
            return draw(self.family, noise, condition)

    @property
    def translates(self) -> ImageShape | None:
        """The shape of the pictures that it translates; None of a family that translates none."""
        pictures = given(self.family, self.data)
        return pictures and pictures.shape

    def translate(
        self, images: Float[Tensor, "n g h w"], *, seed: int = 0, back: bool = False
    ) -> Float[Tensor, "n c h w"]:
        """What a family that translates makes of pictures, both in [-1, 1]; without gradients.

        Args:
            images: of the shape that `model.translates` says.
            seed: of what is random about it.
            back: whether they are of the target's domain, and translated into the other one.

        Raises:
            InputError: the family translates no pictures, none back, or not of this shape.
        """
        pictures = given(self.family, self.data)
        if pictures is None:
            raise InputError(f"{self.name} translates no pictures")
        if back and not isinstance(self.family, Cyclic):
            raise InputError(f"{self.name} translates one way only; leave back out")
        if tuple(images.shape[1:]) != pictures.shape:
            raise InputError(f"images of shape {tuple(images.shape[1:])}; {self.name} is given {tuple(pictures.shape)}")
        with torch.no_grad():
            if back and isinstance(self.family, Cyclic):
                return self.family.translate_back(images)
            rows = -(-len(images) // CHUNK) * CHUNK  # what is drawn for a picture does not depend on how many there are
            noise = Noise(seed, rows=rows, take=slice(len(images)))
            return draw(self.family, noise, Condition(extras={pictures.name: images}))

    def asked(self, label: Label | Sequence[Label], rows: int) -> Condition:
        """The condition that asks for a class. Raises InputError."""
        conditions_on = self.family.conditions_on if isinstance(self.family, Conditional) else ()
        if tuple(conditions_on) != ("labels",):
            reason = f"it conditions on {', '.join(conditions_on)}" if conditions_on else "it is not conditional"
            raise InputError(f"label: {self.name} cannot be asked for a class: {reason}; leave label out")
        if isinstance(label, int | str | Integral):
            return Condition(torch.full((rows,), self.number(label)))
        labels = torch.as_tensor([self.number(one) for one in label], dtype=torch.int64)
        if len(labels) != rows:
            raise InputError(f"label: {len(labels)} labels for {rows} samples; give one, or one for each")
        return Condition(labels)

    def number(self, label: Label) -> int:
        """The number of a class, given by it or by name. Raises InputError."""
        names = list(self.classes) or [str(number) for number in range(self.data.classes)]
        if isinstance(label, str):
            if label not in names:
                raise InputError(f"label: no class {label!r}; {nearest(label, names)}")
            return names.index(label)
        if not 0 <= int(label) < self.data.classes:
            named = f" ({', '.join(self.classes)})" if self.classes else ""
            raise InputError(f"label: {label}; the classes are 0 to {self.data.classes - 1}{named}")
        return int(label)


def whole(value: object, what: str) -> int:
    """A number of at least 1, numpy's too. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(f"{what}: {value!r}; use a whole number of at least 1")
    return int(value)


def load(folder: Path | str) -> Model:
    """The model saved in `folder`, on the CPU.

    Raises:
        InputError: the folder is not an exported model, or its weights do not fit.
    """
    described = export.describe(folder)
    known = {*export.DESCRIBES} - {"part"}
    notes = {key: value for key, value in described.items() if key not in known}
    dataset = notes.get("dataset")
    classes = dataset.get("classes") if isinstance(dataset, dict) else ()
    return Model(
        family=export.load(folder),
        name=described["family"],
        settings=described["model"],
        data=export.spec_of(described, f"{folder}/model.json"),
        classes=tuple(map(str, classes)) if isinstance(classes, list) else (),
        examples=export.conditions(folder),
        notes=notes,
    )


def save(model: Model, folder: Path | str) -> Path:
    """Write a model with its card to `folder`, which `load` and MLflow's flavour read. Returns the folder."""
    export.save(
        Path(folder), model.family, model.name, model.settings, model.data, condition=model.examples, **model.notes
    )
    write_card(Path(folder), model.family)
    return Path(folder)
