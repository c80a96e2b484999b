"""A finished model as a folder.

<folder>/weights.safetensors      its weights
         conditions.safetensors   examples of what it is told, of a conditional family; else nothing inside
         model.json               how to build it again, and its part, whose weights are among its own; written last

People find README.md beside them (gen/card.py), which nothing reads.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gen.errors import InputError
from gen.families import load_family
from gen.family import Column, Condition, DataSpec, Family, ImageShape
from gen.settings import check
from gen.shapes import shapes_only

FORMAT = 1
MODELS = Path("models")
"""Where runs leave their models, as <group>/<run>."""
DESCRIBES = ("format", "family", "model", "image", "classes", "extras", "part")
"""What of a model.json it takes to build a family; the rest are notes."""
CONDITIONS = "conditions.safetensors"


def save(
    folder: Path,
    family: Family,
    name: str,
    settings: Mapping[str, Any],
    data: DataSpec,
    *,
    condition: Condition | None = None,
    part: Mapping[str, Any] | None = None,
    **notes: Any,
) -> None:
    """Write the family to `folder`, which is made when missing; model.json is written last.

    Args:
        folder: where to.
        family: holds the weights that samples are to be drawn with.
        name: its file in gen/families.
        settings: the `model` section of its run.
        data: what it was built for.
        condition: examples of what a conditional family is told.
        part: what the model.json of its part says.
        notes: whatever else model.json shall say: data set, run, step.

    Raises:
        InputError: the disk is full, or does not let it be written.
    """
    described = {"family": name, "model": dict(settings), **_listed(data)}
    if part is not None:
        described["part"] = {key: part[key] for key in DESCRIBES if key in part}
    try:
        _write(folder, family, condition, described | notes)
    except (OSError, SafetensorError) as error:  # safetensors has a type of its own for a disk that is full
        message = str(error).splitlines()[0]
        raise InputError(f"{folder}: the model cannot be written ({message}); make room there and repeat") from None


def _listed(data: DataSpec) -> dict[str, Any]:
    """As JSON has it."""
    extras = {name: column.model_dump(mode="json") for name, column in data.extras.items()}
    return {"image": list(data.image), "classes": data.classes, "extras": extras}


def _write(folder: Path, family: Family, condition: Condition | None, described: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").unlink(missing_ok=True)  # an earlier model's does not describe what comes now
    weights = {key: value.detach().contiguous().cpu() for key, value in family.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "weights.safetensors")
    told = {} if condition is None else {f"extras.{name}": column for name, column in condition.extras.items()}
    if condition is not None and condition.labels is not None:
        told["labels"] = condition.labels
    examples = {name: column.detach().contiguous().cpu() for name, column in told.items()}
    safetensors.torch.save_file(examples, folder / CONDITIONS)
    whole = json.dumps({"format": FORMAT, **described}, indent=2) + "\n"
    (folder / "model.json").write_text(whole, encoding="utf-8")


def load(folder: Path | str) -> Family:
    """The family saved in `folder`, in evaluation mode on the CPU.

    Raises:
        InputError: the folder is not an exported model, or its weights do not fit.
    """
    described, path, weights = describe(folder), f"{folder}/model.json", Path(folder) / "weights.safetensors"
    try:
        with shapes_only(), _no_more_than(4 * len(_header(weights)) + 100):  # the folder is somebody's word
            expected = build(described, path)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: cannot be built ({' '.join(str(error).split())[:120]})") from None
    check_header(weights, expected)
    family = build(described, path)
    load_weights(folder, family)
    return family.train(False)


@contextmanager
def _no_more_than(most: int) -> Iterator[None]:
    """Modules that are built inside the block have so many parameters at most. Raises RuntimeError."""
    left = iter(range(most))

    def count(module: nn.Module, name: str, param: object) -> None:
        if next(left, None) is None:
            raise RuntimeError(f"more than {most} parameters: many more than its weights.safetensors has")

    hook = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def build(described: Mapping[str, Any], where: str) -> Family:
    """The family that a model.json describes, with its part, freshly initialised. Raises InputError."""
    inner = described.get("part")
    part = None if inner is None else build(_checked(inner, f"{where}: part"), f"{where}: part")
    return load_family(described["family"], described["model"], spec_of(described, where), f"{where}: model", part)


def model_folder(model: str) -> Path:
    """Where the model lies that a run names, as `<group>/<run>` or `<group>/<run>/last`."""
    return MODELS / model


def conditions(folder: Path | str) -> Condition | None:
    """Examples of what the conditional family saved in `folder` is told; None of an unconditional one.

    Raises:
        InputError: the file is missing or damaged, its columns do not have the same rows, or a label is no class.
    """
    path = Path(folder) / CONDITIONS
    try:
        found = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the model again") from None
    if not found:
        return None
    rows = {len(column) if column.dim() else 0 for column in found.values()}
    if len(rows) > 1 or 0 in rows:
        raise InputError(f"{path}: its columns have no rows, or not equally many; export the model again")
    if (labels := found.get("labels")) is not None:
        classes = describe(folder).get("classes", 0)
        if (
            labels.dtype != torch.int64
            or labels.dim() != 1
            or not 0 <= int(labels.min()) <= int(labels.max()) < classes
        ):
            raise InputError(f"{path}: labels that are no classes from 0 to {classes - 1}; export the model again")
    extras = {name.removeprefix("extras."): column for name, column in found.items() if name != "labels"}
    return Condition(found.get("labels"), extras)


def describe(folder: Path | str) -> dict[str, Any]:
    """What model.json of an exported model says. Raises InputError."""
    path = Path(folder) / "model.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; an exported model has one, see models/<group>/<run>") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); export the model again") from None
    return _checked(described, str(path))


def _checked(described: Any, where: str) -> dict[str, Any]:
    """What a model.json says of a model or of its part, if it is what an export writes. Raises InputError."""
    missing = {"format", "family", "model", "image"} - set(described if isinstance(described, dict) else ())
    if missing:
        raise InputError(f"{where}: lacks {', '.join(sorted(missing))}; export the model again")
    image, fits = described["image"], isinstance(described["family"], str) and isinstance(described["model"], dict)
    if not (fits and isinstance(image, list) and len(image) == 3 and all(isinstance(side, int) for side in image)):
        raise InputError(f"{where}: family, model or image is not what an export writes; export the model again")
    if not isinstance(described.get("classes", 0), int):
        raise InputError(f"{where}: classes is not what an export writes; export the model again")
    spec_of(described, where)
    if described["format"] != FORMAT:
        raise InputError(f"{where}: format {described['format']!r}; this version reads format {FORMAT}")
    return dict(described)


def spec_of(described: Mapping[str, Any], where: str) -> DataSpec:
    """What a model.json says of the data its family was built for. Raises InputError.

    Models of earlier versions lack classes and extras: none of their families looked at a label.
    """
    extras = described.get("extras") or {}
    if not isinstance(extras, dict):
        raise InputError(f"{where}: extras: {extras!r} is not what an export writes; export the model again")
    columns = {name: check(Column, column, f"{where}: extras.{name}") for name, column in extras.items()}
    return DataSpec(ImageShape(*described["image"]), described.get("classes", 0), columns)


def load_weights(folder: Path | str, family: Family) -> None:
    """Give `family` the weights of an exported model, all of them. Raises InputError when they do not fit."""
    path = Path(folder) / "weights.safetensors"
    check_header(path, family)
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the model again") from None
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"{path}: {name} has values that are not finite: the model has diverged, or was damaged")
    family.load_state_dict(weights)


def check_header(path: Path, family: Family, asks: str = "model.json asks") -> None:
    """Compare names, shapes and types of the weights in a file with a family's, before any of them is read.

    Args:
        path: of the file.
        family: what it should hold the weights of; one of shapes alone will do.
        asks: who asks for that family, for the error.

    Raises:
        InputError: they differ, or the file cannot be read.
    """
    expected = {name: (_kind(tensor), list(tensor.shape)) for name, tensor in family.state_dict().items()}
    found = _header(path)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            mine, its = (f"{one[0]} {one[1]}" if one else "nothing" for one in (expected.get(name), found.get(name)))
            raise InputError(f"{path}: weights of another model: {name} is {its}, {asks} for {mine}")


def _header(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Types and shapes of the weights in a file, by name. Raises InputError when it cannot be read."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (one.get_dtype(), list(one.get_shape())) for name, one in slices.items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the model again") from None


def _kind(tensor: Tensor) -> str:
    """The type of a tensor as safetensors writes it: F32, BF16, I64."""
    name = str(tensor.dtype).removeprefix("torch.")
    letters = name.rstrip("0123456789")
    short = {"float": "F", "bfloat": "BF", "int": "I", "uint": "U", "bool": "BOOL"}
    return short[letters] + name[len(letters) :] if letters in short else name
