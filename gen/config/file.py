"""A params file as the values it holds: UTF-8 whatever the locale, and no name twice."""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from gen.errors import InputError


def read_params(path: Path) -> Any:
    """What the YAML file at `path` holds.

    Raises:
        InputError: the file is missing, is not UTF-8 or not YAML, or has a key twice in one section.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        if (node := loader.get_single_node()) is None:
            return None
        check_names_once(node)
        return loader.construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give one with --params") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error}); save it as that") from None
    except ConstructorError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: {place}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date of month 13, a number of 5,000 digits
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def check_names_once(node: yaml.Node) -> None:
    """No mapping has a key twice, of which YAML would keep the last in silence. Raises ConstructorError."""
    seen = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            if (name := (key.tag, key.value)) in seen:
                message = f"{key.value!r} stands in this section already; give it another name"
                raise ConstructorError(None, None, message, key.start_mark)
            seen.add(name)
        check_names_once(value)
    for value in node.value if isinstance(node, yaml.SequenceNode) else ():
        check_names_once(value)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """In C, where PyYAML was built so: thirty times as fast. Reads 2e-4 as a number."""


# YAML 1.1, PyYAML's, takes a number with an exponent and no dot for text; YAML 1.2, DVC's, does not.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:[0-9]+|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)
