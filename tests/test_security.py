"""What docs/security.md promises of the code: nothing that was read from outside is run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CALLS = ("eval", "exec", "os.system", "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "yaml.load")
"""Those that run what they read; `gen/data/formats/restricted_pickle.py` derives its own reader, which does not."""


def dangers(source: str) -> Iterator[str]:
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name, words = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
        known = name in CALLS and (name != "yaml.load" or "import yaml\n" in source)  # ruamel's reader only reads
        if known or words.get("shell") == "True" or words.get("allow_pickle") == "True":
            yield f"{call.lineno}: {name}"
        if name == "torch.load" and words.get("weights_only") != "True":
            yield f"{call.lineno}: {name} without weights_only"


def test_no_call_runs_what_it_reads() -> None:
    files = [file for part in ("gen", "pipelines", "infra") for file in (ROOT / part).rglob("*.py")]
    assert len(files) > 100
    assert {str(file): found for file in files if (found := list(dangers(file.read_text())))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(f)",
        "pickle.loads(b)",
        "np.load(f, allow_pickle=True)",
        "run(c, shell=True)",
        "import yaml\nyaml.load(f)",
        "eval(x)",
    ],
)
def test_such_a_call_is_noticed(source: str) -> None:
    assert list(dangers(source))


def test_tests_that_the_threat_model_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs/security.md").read_text())
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []
