"""What tests of params files share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.config.load import load_params
from gen.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params() -> dict[str, Any]:
    """The project's own params.yaml, whose first digits run is edited below."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return values


@pytest.fixture
def refusal(params: dict[str, Any], tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], str]:
    """What is said of the project's params, once they are edited: one line, which names the file once."""

    def said(edit: Callable[[dict[str, Any]], object]) -> str:
        edit(params)
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(params))
        with pytest.raises(InputError) as error:
            load_params(file)
        line = str(error.value)
        assert line.count(str(file)) == 1
        assert "\n" not in line
        return line

    return said
