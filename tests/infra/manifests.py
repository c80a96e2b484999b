"""What is in infra/, as the tests of it read it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
INFRA = ROOT / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())


def tracked(folder: str) -> list[Path]:
    """The files that git has there, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def resources() -> dict[str, dict[str, Any]]:
    """All of infra/kubernetes, by kind and name."""
    documents = [one for file in (INFRA / "kubernetes").glob("*.yaml") for one in yaml.safe_load_all(file.read_text())]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside, with its path."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, f"{path}.{key}")


def pod_specs(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that it makes."""
    return [value["spec"] for path, value in walk(resource) if path.endswith(".template") and "spec" in value]
