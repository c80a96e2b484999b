"""What every benchmark has in common: figures of several repeats, and a small JSON of them."""

import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, least and greatest of the repeats."""
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()} | {"repeats": len(values)}


def report(name: str, figures: dict[str, Any], packages: Sequence[str]) -> None:
    """Print the figures, with device, versions and command, and write them to results/<name>.json."""
    versions = {package: importlib.metadata.version(package) for package in packages}
    command = " ".join(["python", *(sys.orig_argv[1:])])
    load = round(os.getloadavg()[0], 1)
    whole = {"command": command, "device": device(), "load": load, "python": platform.python_version(), **versions}
    text = json.dumps({"figures": figures, **whole}, indent=1)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def device() -> str:
    """The processor's name and how many of its cores may be used."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).is_file():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
