"""Main memory that scores and evaluation take of images of 128x128, as the number of samples grows.

    python -m benchmarks.memory

Each figure is of a process of its own: its peak beyond what it had before, with a DCGAN of three channels, pixels as
the extractor (192 features) and one thread. Samples are drawn in parts, so it should hardly grow with their number;
the last figure is of all samples drawn at once, for comparison.
"""

import argparse
import functools
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch

import gen
from benchmarks.report import report
from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference, open_reference, write_reference
from gen.evaluation.sampling import Sampler, chunks
from gen.evaluators import of_samples
from gen.extractors import Extracted
from gen.notebook import run_of
from gen.training.loop import Loop, initial_family
from gen.training.scores import LightFrechet

MIB = 1 << 20
ROWS = 400
"""Real images of the data set."""
WIDTH = 32


def made(folder: Path) -> None:
    """A data set of noise, and its images as the extractor sees them."""
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 3, 128, 128), dtype=np.uint8)
    dataset = gen.dataset_of(pixels, folder=folder / "noise", validation=0.25, test=0.25)
    (folder / "pixels").mkdir()
    write_reference(
        folder / "pixels", extractor="pixels", dataset=dataset, resolution=None, notes={}, move=lambda images: None
    )


def loop_of(dataset: Dataset) -> Loop:
    """A DCGAN before its first step."""
    run = run_of("dcgan", dataset, width=WIDTH)
    return Loop(run, initial_family(run, dataset), dataset)


def score(samples: int, dataset: Dataset, reference: Reference) -> None:
    """What is done at a checkpoint of a training."""
    LightFrechet(reference, samples)(loop_of(dataset))


def evaluate(samples: int, dataset: Dataset, reference: Reference) -> None:
    """What is done for one draw of samples of a finished model."""
    sampler = Sampler(loop_of(dataset).family.train(False), dataset, None)
    features = torch.cat([reference.extract(sampler.draw(0, rows, samples)).features for rows in chunks(samples)])
    of_samples(Extracted(features, features.new_empty(samples, 0)), reference, 0)


def at_once(samples: int, dataset: Dataset, reference: Reference) -> None:
    """All samples of a score in one part."""
    reference.extract(loop_of(dataset).sample("score", rows=samples))


def peak(work: Callable[[int, Dataset, Reference], None], samples: int, folder: Path) -> float:
    """MiB at the peak of this process beyond what it had before, once a small piece of the same work was done."""
    torch.set_num_threads(1)
    dataset, reference = gen.open_dataset(folder / "noise"), open_reference(folder / "pixels")
    work(8, dataset, reference)
    before = psutil.Process().memory_info().rss
    work(samples, dataset, reference)
    greatest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return (greatest - before) / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[250, 1000, 4000], help="of each figure")
    given = parser.parse_args()
    cases = [(work, samples) for work in (score, evaluate) for samples in given.samples]
    cases.append((at_once, given.samples[1]))
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder))
        one = functools.partial(peak, folder=Path(folder))
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            found = {f"{work.__name__}, {samples} samples": pool.apply(one, (work, samples)) for work, samples in cases}
    report("memory", {"MiB at the peak": {name: round(value) for name, value in found.items()}}, ["torch"])


if __name__ == "__main__":
    main()
