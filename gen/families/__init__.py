"""One paper, one file: each exports `Config` and `Model` (see gen/family.py). Here is how they are found and built."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from gen.blame import blame
from gen.errors import InputError
from gen.family import DataSpec, Family
from gen.frozen import Frozen
from gen.settings import Settings, check, nearest


def family_names() -> list[str]:
    """Every family there is: the files of gen/families."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_family(
    name: str,
    settings: Settings | Mapping[str, Any],
    data: DataSpec,
    where: str = "model",
    part: Family | None = None,
) -> Family:
    """The family of `gen/families/<name>.py`, freshly initialised from torch's global generator.

    Args:
        name: its file in gen/families.
        settings: its Config, or the `model` section of a run.
        data: what it is built for.
        where: the address of the settings, for errors.
        part: the trained model that it is made with; of a family whose Model declares `needs_part`.

    Raises:
        InputError: unknown family, settings that do not fit it, data it cannot be built for, or another part than it
            needs.
    """
    config = settings if isinstance(settings, Settings) else check_family(name, settings, where)
    model = family_module(name, where).Model
    needs = getattr(model, "needs_part", None)
    if needs is None:
        if part is not None:
            raise InputError(f"{where}: {name} is not made with another model; leave part out")
        return cast(Family, model(config, data))
    if part is None:
        raise InputError(f"{where}: {name} is made with a trained model; name it: part: <group>/<run>")
    if not isinstance(part, needs):
        other = type(part).__module__.rpartition(".")[2]
        raise InputError(f"{where}: {name} needs a part with the ability {needs.__name__}, which {other} lacks")
    return cast(Family, model(config, data, Frozen(cast(nn.Module, part))))


def check_family(name: str, settings: Mapping[str, Any], where: str) -> Settings:
    """The family's own Config, from the `model` section of a run."""
    kind: type[Settings] = family_module(name, where).Config
    return check(kind, dict(settings), where)


def family_module(name: str, where: str = "model") -> Any:
    """`gen/families/<name>.py`. Raises InputError when there is no such file, or Python cannot import it."""
    if not (name.isidentifier() and importlib.util.find_spec(f"{__name__}.{name}")):
        raise InputError(f"{where}: unknown family {name!r}; {nearest(name, family_names())}")
    try:
        return importlib.import_module(f"gen.families.{name}")
    except Exception as error:
        raise InputError(f"{where}: {name} cannot be imported: {blame(error, family_file(name))}") from error


def family_file(name: str) -> Path:
    """Where a family's source lies."""
    found = importlib.util.find_spec(f"gen.families.{name}")
    return Path(found.origin) if found and found.origin else Path(f"gen/families/{name}.py")
