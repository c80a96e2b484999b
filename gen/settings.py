"""The base of every section of params.yaml: typed, frozen, and readable when wrong."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from gen.errors import InputError

SMALLEST, LARGEST = 1.1754944e-38, 3.4028234e38
"""The size of positive numbers that float32 holds in full, as torch's kernels and weights do."""


class Settings(BaseModel):
    """One section of params.yaml. Each field carries its meaning and unit in the docstring under it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: object, info: Any) -> object:
        annotation = cls.model_fields[info.field_name or ""].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError("input should be a number, not yes or no")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _torch_has_such_numbers(cls, value: object) -> object:
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("input should be less than 2**63, as whole numbers of 64 bits are")
        if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
            raise ValueError(f"input should be 0 or from {SMALLEST} to {LARGEST} in size, as numbers of float32 are")
        return value


S = TypeVar("S", bound=Settings)


def check(kind: type[S], values: object, where: str) -> S:
    """`values` as a `kind`.

    Raises:
        InputError: on the first field that does not fit, with its full address (`where` and the field's path).
    """
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a section with {', '.join(kind.model_fields)}; got {values!r}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        # An unknown field comes first: it is often the misspelt name of one that is missing.
        problem = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        path = [str(part) for part in problem["loc"]]
        place = ".".join([where, *path])
        inner = section_of(kind, path[:-1])
        if problem["type"] == "extra_forbidden":
            raise InputError(f"{place}: unknown; {nearest_field(path[-1], inner)}") from None
        if problem["type"] == "missing":
            field = inner.model_fields.get(path[-1])
            meaning = field.description if field else None
            raise InputError(f"{place}: missing; {meaning or 'it is required'}") from None
        message = problem["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {message[:1].lower()}{message[1:]}{_got(problem['input'], message)}") from None


def section_of(kind: type[Settings], path: Sequence[str]) -> type[Settings]:
    """What the section at a path within a `kind` is; of one that no type says, `kind` itself."""
    inner: type[Settings] = kind
    for name in path:
        field = inner.model_fields.get(name)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, Settings)):
            return kind
        inner = annotation
    return inner


def _got(value: object, message: str) -> str:
    """What was found; of a whole section the fields that the message speaks of."""
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if name in re.findall(r"\w+", message)}
    return "" if value == {} else f"; got {value!r}"


RENAMED = {
    "batch": "batch_size",
    "grace": "grace_period",
    "latent": "latent_dim",
    "microbatches": "grad_accum_steps",
    "size": "resolution",
}
"""Fields of earlier versions, by which params files of theirs are told what to write."""


def nearest_field(name: str, kind: type[Settings]) -> str:
    """A remedy for an unknown field: one whose meaning begins with that name, as a symbol does, or the nearest one."""
    field = meant(name, kind)
    if field and field == RENAMED.get(name):
        return f"it was renamed; write {field}"
    return f"did you mean {field}?" if field else nearest(name, kind.model_fields)


def meant(name: str, kind: type[Settings]) -> str:
    """The field whose meaning begins with that name, as a symbol does, or that was renamed from it; "" for none."""
    if (field := RENAMED.get(name)) and field in kind.model_fields:
        return field
    symbols = {(info.description or "").partition(":")[0]: field for field, info in kind.model_fields.items()}
    return symbols.get(name, "")


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"
