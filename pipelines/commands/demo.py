"""The group `digits` of params.yaml from nothing to a comparison."""

from pathlib import Path

from pipelines.commands import all as everything
from pipelines.reports.tables import beginning

GROUP = "digits"


def main(path: Path) -> None:
    """Build the comparison, and say how to look at it."""
    ran = everything.main([f"compare@{GROUP}"], path, None)
    out = Path("comparisons") / GROUP
    if f"compare@{GROUP}" not in ran:  # which shows it, too
        print(f"\n{beginning((out / 'table.md').read_text(encoding='utf-8'))}")
    print("Curves, grids and models in MLflow: make ui")
    print(f"The page: {(out / 'index.html').absolute().as_uri()}")
