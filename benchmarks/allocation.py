"""Steps of training with the memory that they free kept by the process, against glibc's defaults.

    python -m benchmarks.allocation

Runs of params.yaml on random images of the size of digits, one thread. Each repeat is two processes one after the
other, one of each kind; a figure is the ratio of their times for a step: above 1, keeping is faster.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import gen
from benchmarks.report import report, spread
from gen.config.load import load_params
from gen.training.loop import Loop, initial_family
from pipelines.runtime.memory import keep_freed_memory

RUNS = ("digits_dcgan", "digits_ali", "digits_pixel_cnn")
STEPS = 20


def measure(name: str, keep: bool) -> dict[str, float]:
    """Milliseconds and page faults of a step, and the process's peak in MiB."""
    torch.set_num_threads(1)
    if keep:
        keep_freed_memory()
    run = load_params(Path("params.yaml")).run(name)
    with tempfile.TemporaryDirectory() as folder:
        pixels = np.random.default_rng(0).integers(0, 256, (300, 16, 16), dtype=np.uint8)
        dataset = gen.dataset_of(pixels, folder=Path(folder) / "noise")
        loop = Loop(run, initial_family(run, dataset), dataset)
    for _ in range(3):
        loop.step()
    faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    for _ in range(STEPS):
        loop.step()
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "milliseconds": 1000 * seconds / STEPS,
        "faults": (used.ru_minflt - faults) / STEPS,
        "peak": used.ru_maxrss / 1024,
    }


def in_a_process(name: str, keep: bool) -> dict[str, float]:
    """`measure`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.allocation", "--one", name, *(["--keep"] if keep else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure all runs, or one for `in_a_process`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.keep)))
        return
    figures = {}
    for name in RUNS:
        pairs = [(in_a_process(name, keep=False), in_a_process(name, keep=True)) for _ in range(arguments.repeats)]
        figures[name] = {
            "time of a step, default / kept": spread([one["milliseconds"] / two["milliseconds"] for one, two in pairs]),
            "page faults a step, default": spread([one["faults"] for one, _ in pairs], 0),
            "page faults a step, kept": spread([two["faults"] for _, two in pairs], 0),
            "peak in MiB, kept / default": spread([two["peak"] / one["peak"] for one, two in pairs]),
        }
    report("allocation", figures, ["torch"])


if __name__ == "__main__":
    main()
