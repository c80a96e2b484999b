"""The table in docs/reliability.md."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from tests.faults.matrix import Result

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults -->", "<!-- end of what make faults made -->"
HEAD = ["fault", "trials", "what happened", "lost", "median s", "max s"]


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def known(page: Path) -> dict[str, str]:
    """The rows that stand in the page, by their faults."""
    lines = _inside(page).splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


def write(page: Path, results: Sequence[Result], names: Sequence[str], command: str) -> None:
    """Put new rows among those of the page; the order is that of `names`."""
    rows = known(page) | {result.fault: row(result.cells()) for result in results}
    untried = ("0", "not tried yet", "-", "-", "-")
    table = [row(HEAD), "|---|--:|---|---|--:|--:|", *(rows.get(name) or row([name, *untried]) for name in names)]
    text = page.read_text(encoding="utf-8")
    made = "\n".join([BEGIN, "", f"{setting()} `{command}`, {date.today()}.", "", *table, "", END])
    page.write_text(text.replace(f"{BEGIN}{_inside(page)}{END}", made), encoding="utf-8")


def setting() -> str:
    """What the faults were tried with."""
    packages = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in ("torch", "ray", "mlflow", "dvc"))
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} CPU cores."


def _inside(page: Path) -> str:
    found = re.search(f"{re.escape(BEGIN)}(.*){re.escape(END)}", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"{page} has no place for the table"
    return found[1]
