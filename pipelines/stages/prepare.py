"""Stage prepare@<dataset>: data/raw/<dataset> to data/prepared/<dataset>."""

from pathlib import Path

from gen.config.load import load_params
from gen.data.prepare import prepare
from gen.errors import InputError
from gen.settings import nearest


def main(name: str, path: Path) -> None:
    """Prepare the data set `name` of the params file at `path`."""
    datasets = load_params(path).datasets
    if name not in datasets:
        raise InputError(f"{path}: datasets.{name}: unknown; {nearest(name, datasets)}")
    where = f"{path}: datasets.{name}"
    done = prepare(name, datasets[name], where, Path("data/raw") / name, Path("data/prepared") / name)
    print(f"prepared {done.folder}: " + ", ".join(f"{rows:,} {split}" for split, rows in done.rows.items()))
