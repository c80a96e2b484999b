"""Stage fetch@<dataset>: published files into data/raw/<dataset>."""

import os
from pathlib import Path

from gen.config.load import load_params
from gen.data.fetch import fetch
from gen.errors import InputError
from gen.settings import nearest


def main(name: str, path: Path) -> None:
    """Fetch the data set `name` of the params file at `path`."""
    params = load_params(path)
    where = f"{path}: datasets.{name}"
    if name not in params.datasets:
        raise InputError(f"{where}: unknown; {nearest(name, params.datasets)}")
    out = Path("data/raw") / name
    files = fetch(name, params.datasets[name], where, out, mirror=os.environ.get("GEN_MIRROR") or params.data.mirror)
    size = sum(file["bytes"] for file in files)
    print(f"fetched {out}: {len(files)} files, {size / 1e6:,.1f} MB" if files else f"fetched {out}: nothing to fetch")
