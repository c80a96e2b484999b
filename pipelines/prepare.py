"""Stage prepare@<dataset>: data/raw/<dataset> to data/prepared/<dataset>."""

import sys
from pathlib import Path

from gen import config
from gen.data.prepare import prepare
from gen.errors import InputError
from gen.settings import nearest
from pipelines import command


def main() -> None:
    """Read the arguments and params, and prepare the data set."""
    parser = command.stage_parser("prepare", __doc__ or "", "python -m pipelines.prepare digits")
    parser.add_argument("dataset", help="a data set of the params file")
    arguments = parser.parse_args()
    name, datasets = arguments.dataset, config.load(arguments.params).datasets
    if name not in datasets:
        raise InputError(f"{arguments.params}: datasets.{name}: unknown; {nearest(name, datasets)}")
    where = f"{arguments.params}: datasets.{name}"
    done = prepare(name, datasets[name], where, Path("data/raw") / name, Path("data/prepared") / name)
    print(f"prepared {done.folder}: " + ", ".join(f"{rows:,} {split}" for split, rows in done.rows.items()))


if __name__ == "__main__":
    sys.exit(command.run(main))
