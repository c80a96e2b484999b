"""The rules of the house that no other tool holds."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import gen
import gen.families
from pipelines import SETTINGS

ROOT = Path(__file__).parent.parent
FAMILIES = [module.name for module in pkgutil.iter_modules(gen.families.__path__)]
PYTHON_FILES = [file for part in ("gen", "pipelines") for file in sorted((ROOT / part).rglob("*.py"))]


def tracked_texts() -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    texts = {}
    for name in filter(None, listed.split("\0")):
        if name.startswith("benchmarks/results/"):
            continue  # these say exactly what they were measured with
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            texts[name] = content.decode()
    return texts


def test_gen_imports_without_ray_mlflow_dvc_and_checks_params_without_torchs_compiler() -> None:
    """It takes 1.3 s before each command; arithmetic on the device meta, in a family's __init__, loads it."""
    script = """
import importlib, pkgutil, sys
import gen
for module in pkgutil.walk_packages(gen.__path__, "gen."):
    importlib.import_module(module.name)
from gen.config.load import load_params
for path in ("params.yaml", "paper/params.yaml"):
    load_params(path)
print(*sorted({"ray", "mlflow", "dvc", "pipelines", "torch._dynamo"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_begins_with_its_paper(family: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / f"gen/families/{family}.py").read_text())) or ""
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d+/|\b(19|20)\d\d\b", docstring), "name the paper"


def test_every_public_package_file_says_what_it_is() -> None:
    silent = [file for file in PYTHON_FILES if file.read_text() and not ast.get_docstring(ast.parse(file.read_text()))]
    assert silent == []


def test_docstrings_of_the_api_reference_show_what_stands_between_brackets() -> None:
    """It takes `<name>` for HTML and leaves it out, unless it stands in backticks or in an indented block."""
    pages = "".join(page.read_text() for page in (ROOT / "docs/api").glob("*.md"))
    places = tuple(re.findall(r"^::: (\S+)", pages, re.MULTILINE))
    assert len(places) > 20
    found = []
    for file in PYTHON_FILES:
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        documented = any(f"{module}.".startswith(f"{place}.") or place.startswith(f"{module}.") for place in places)
        for node in ast.walk(ast.parse(file.read_text())) if documented else ():
            text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
            lines = inspect.cleandoc(text).splitlines() if isinstance(text, str) else []
            bare = [re.sub(r"`[^`]*`", "", line) for line in lines if not line.startswith("    ")]
            found += [f"{module}: {line}" for line in bare if re.search(r"<[a-z]", line)]
    assert found == []


def test_ray_starts_in_one_place() -> None:
    starts = [file.name for file in PYTHON_FILES if re.search(r"\bray\.init\(", file.read_text())]
    assert set(starts) <= {"cluster.py"}


def test_text_is_read_and_written_as_utf_8() -> None:
    """Never in the encoding of the locale, which may be ASCII."""

    def of_the_locale(call: ast.AST) -> bool:
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return False
        mode = call.args[0] if call.args else None
        text = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwaxt+")
        is_text = call.func.attr in ("read_text", "write_text") or (call.func.attr == "open" and text)
        return is_text and "encoding" not in [word.arg for word in call.keywords]

    files = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PYTHON_FILES}
    found = [f"{file}:{node.lineno}" for file, tree in files.items() for node in ast.walk(tree) if of_the_locale(node)]
    assert found == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    home = re.compile(r"""(?:^|[\s"'`(=:])/(?:home|root|Users|work)/\w""", re.MULTILINE)
    assert {name for name, text in tracked_texts().items() if home.search(text)} == set()


def test_no_file_chooses_a_package_index() -> None:
    index = re.compile(r"--(extra-)?index[-]url|--find[-]links|download\.pytorch[.]org|(cpu|cu\d+)[.]whl|\+cp[u]\b")
    assert {name for name, text in tracked_texts().items() if index.search(text)} == set()


def test_constraints_pin_every_dependency_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pins = {pin.name.lower().replace("_", "-"): pin for pin in map(Requirement, filter(None, lines))}
    extras = project["optional-dependencies"]
    for need in map(Requirement, project["dependencies"] + extras["dev"] + extras["cluster"]):
        (pin,) = pins[need.name].specifier
        assert pin.operator == "=="
        assert need.specifier.contains(pin.version), f"{need} against {pin}"


def test_usage_statistics_are_off() -> None:
    """By `make`, and by a plain `dvc repro`, which relies on what `pipelines` sets."""
    config = (ROOT / ".dvc/config").read_text()
    assert re.search(r"analytics = false", config)
    makefile = (ROOT / "Makefile").read_text()
    for switch in ("RAY_USAGE_STATS_ENABLED := 0", "MLFLOW_DISABLE_TELEMETRY := true", "DVC_NO_ANALYTICS := 1"):
        assert switch in makefile
    switches = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    assert switches.items() <= SETTINGS.items()
