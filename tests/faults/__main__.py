"""The fault matrix: `make faults`, or some of it by `python -m tests.faults --only 'kill -9'`."""

import argparse
import importlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, chdir
from pathlib import Path

import torch

from pipelines.commands.all import LATE
from pipelines.runtime.forkserver import ADDRESS, forkserver
from pipelines.tracking import store
from tests.faults.matrix import FAULTS, Ground, tried
from tests.faults.place import LOGGING, NICE, STEPS
from tests.faults.report import HEAD, PAGE, row, write
from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import ROOT, lay_out, one_ray, ring_run
from tests.services import KEYS

AREAS = ("workers", "drivers", "checkpoints", "disks", "dvc", "storage", "nodes", "links", "mlflow")
"""Files of this folder that list faults, in the order of the table."""


def main() -> int:
    for area in AREAS:
        importlib.import_module(f"tests.faults.{area}")
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="a pattern that the fault's name or file is to have")
    parser.add_argument("--trials", type=int, help="how often each is tried")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that has the table")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    asked = parser.parse_args()
    chosen = [one for one in FAULTS if re.search(asked.only, f"{one.inject.__module__} {one.name}", re.IGNORECASE)]
    if asked.list:
        print(*(one.name for one in chosen), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    began, results = time.monotonic(), []
    command = "make faults" if not (asked.only or asked.trials) else "python -m tests.faults"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True)))
        inside = f"{Path(__file__).parent / 'inside'}:{ROOT}"
        address = stack.enter_context(one_ray(PYTHONPATH=inside, **KEYS, **NICE))
        modules = [f"pipelines.stages.{name}" for name in ("train", "sweep")] + LATE
        begun = stack.enter_context(forkserver(modules, os.environ | {"PYTHONPATH": str(ROOT)}))
        ground = Ground(
            folder, address, begun.get(ADDRESS, ""), template(folder / "template"), lambda: repository(folder, address)
        )
        for number, fault in enumerate(chosen, 1):
            start = time.monotonic()
            result = tried(fault, ground, asked.trials or fault.trials, asked.seed)
            results.append(result)
            print(f"{number}/{len(chosen)} ({time.monotonic() - start:.0f} s) {row(result.cells())}", flush=True)
            write(asked.page, results, [one.name for one in FAULTS], command)
    print(f"\n{row(HEAD)}")
    print(*(row(result.cells()) for result in results), sep="\n")
    print(f"\n{len(results)} faults in {(time.monotonic() - began) / 60:.0f} minutes; they stand in {asked.page}")
    return int(any(result.lost for result in results))


def template(folder: Path) -> Path:
    """Prepared data, its reference, and an empty MLflow."""
    folder.mkdir()
    with chdir(folder):
        lay_out(folder)
        store.connect()
    return folder


def repository(folder: Path, address: str) -> Path:
    """A copy of the repository in which all is built that a training needs."""
    made = folder / "repository"
    if not made.exists():
        made.mkdir()
        checkout = Checkout(made, address)
        checkout.changes |= LOGGING
        checkout.write(ring=ring_run(steps=STEPS))
        checkout.commit()
        checkout.repro("reference@ring8")
        shutil.copytree(folder / "template" / "tracking", made / "tracking")
        checkout.commit()
    return made


if __name__ == "__main__":
    sys.exit(main())
