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
        return yaml.load(path.read_text(encoding="utf-8"), _NamesOnce)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give one with --params") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error}); save it as text") from None
    except ConstructorError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: {place}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date of month 13, a number of 5,000 digits
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


class _NamesOnce(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML keeps the last in silence. Reads 2e-4 as a number."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (name := (key.tag, key.value)) in seen:
                    message = f"{key.value!r} stands in this section already; give it another name"
                    raise ConstructorError(None, None, message, key.start_mark)
                seen.add(name)
        return node


# YAML 1.1, PyYAML's, takes a number with an exponent and no dot for text; YAML 1.2, DVC's, does not.
_NamesOnce.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:[0-9]+|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)
