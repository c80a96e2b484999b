"""Stage fetch@<dataset>: published files into data/raw/<dataset>."""

import os
import sys
from pathlib import Path

from gen import config
from gen.data.fetch import fetch
from gen.errors import InputError
from gen.settings import nearest
from pipelines import command


def main() -> None:
    """Read the arguments and params, and fetch the data set."""
    parser = command.stage_parser("fetch", __doc__ or "", "GEN_MIRROR=/mnt/mirror python -m pipelines.fetch mnist")
    parser.add_argument("dataset", help="a data set of the params file")
    arguments = parser.parse_args()
    name, params = arguments.dataset, config.load(arguments.params)
    where = f"{arguments.params}: datasets.{name}"
    if name not in params.datasets:
        raise InputError(f"{where}: unknown; {nearest(name, params.datasets)}")
    out = Path("data/raw") / name
    files = fetch(name, params.datasets[name], where, out, mirror=os.environ.get("GEN_MIRROR") or params.data.mirror)
    size = sum(file["bytes"] for file in files)
    print(f"fetched {out}: {len(files)} files, {size / 1e6:,.1f} MB" if files else f"fetched {out}: nothing to fetch")


if __name__ == "__main__":
    sys.exit(command.run(main))
