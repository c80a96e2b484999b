"""The Frechet distance against scipy.linalg.sqrtm at 2048 dimensions; memory and time of precision and recall.

    python -m benchmarks.distance

Covariances are those of 5,000 samples, the same two for every repeat: once of independent features, well-conditioned,
and once of mixed ones, of which some nearly depend on others. The distance of singular ones (half as many samples as
features) is timed beside them; sqrtm is not asked for it. Precision and recall of 50,000 against 50,000 come first, so
that the greatest resident size of the process is theirs; it is told beyond the features' own.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psutil
import scipy.linalg
import torch
from torch import Tensor

from benchmarks.report import report, spread
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import Moments, gather, moments
from gen.metrics.neighbours import BLOCK
from gen.metrics.precision_recall import PrecisionRecall, precision_recall

MIB = 2**20
T = TypeVar("T")


def draw(rows: int, width: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def independent(rows: int, width: int, seed: int) -> Moments:
    return moments(gather(draw(rows, width, seed, torch.float64)))


def mixed(rows: int, width: int, seed: int) -> Moments:
    """Every feature has half of its variance from all the others together."""
    mix = torch.eye(width, dtype=torch.float64) + draw(width, width, seed, torch.float64) / width**0.5
    return moments(gather(draw(rows, width, seed + 1, torch.float64) @ mix))


def by_root(real: Moments, generated: Moments) -> float:
    """The distance as most write it, by the root of S1 S2."""
    root = scipy.linalg.sqrtm((real.covariance @ generated.covariance).numpy()).trace().real
    shift = (real.mean - generated.mean).square().sum()
    return float(shift + real.covariance.trace() + generated.covariance.trace() - 2 * root)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    done = work()
    return done, time.perf_counter() - begin


def peak_bytes() -> int:
    """The greatest resident size this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def manifolds(points: int, width: int) -> tuple[PrecisionRecall, float, float]:
    """Precision and recall of two overlapping sets, seconds, and MiB beyond what was resident before."""
    real, generated = draw(points, width, seed=1), draw(points, width, seed=2).mul_(0.95)
    before = psutil.Process().memory_info().rss
    found, seconds = timed(lambda: precision_recall(real, generated))
    return found, seconds, (peak_bytes() - before) / MIB


def compare(pair: Sequence[Moments], repeats: int) -> dict[str, Any]:
    """Both ways to the same distance, one after the other."""
    own, root, off = [], [], []
    for _ in range(repeats):
        found, took = timed(lambda: frechet_distance(*pair))
        expected, root_took = timed(lambda: by_root(*pair))
        own.append(took)
        root.append(root_took)
        off.append(abs(found.distance / expected - 1))
    return {
        "ratio (wanted: 5)": spread([b / a for a, b in zip(own, root, strict=True)], 1),
        "frechet_distance seconds": spread(own),
        "sqrtm seconds": spread(root),
        "relative difference": max(off),
        "singular": found.singular,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=2048, help="features")
    parser.add_argument("--samples", type=int, default=5000, help="samples of each covariance")
    parser.add_argument("--points", type=int, default=50_000, help="rows of each set for precision and recall")
    parser.add_argument("--repeats", type=int, default=2, help="of both distances, one after the other")
    given = parser.parse_args()

    found, seconds, mebibytes = manifolds(given.points, given.width)
    compared = {
        kind.__name__: compare([kind(given.samples, given.width, seed) for seed in (10, 20)], given.repeats)
        for kind in (independent, mixed)
    }
    few = [independent(given.width // 2, given.width, seed) for seed in (30, 40)]
    singular = [timed(lambda: frechet_distance(*few))[1] for _ in range(given.repeats)]
    figures = {
        **compared,
        "singular: frechet_distance seconds": spread(singular),
        "width": given.width,
        "samples": given.samples,
        "threads": torch.get_num_threads(),
        "precision and recall": {
            "points of each set": given.points,
            "block": BLOCK,
            "seconds": round(seconds, 1),
            "MiB at the peak beyond the features": round(mebibytes),
            "MiB of all distances at once, float32": round(given.points**2 * 4 / MIB),
            "precision": found.precision,
            "recall": found.recall,
        },
    }
    report("distance", figures, ["torch", "numpy", "scipy"])


if __name__ == "__main__":
    main()
