"""Samples of an exported model as an extractor sees them: in this process, or by Ray tasks that share the work."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import torch

from gen import export
from gen.config import Cluster
from gen.family import Family
from gen.metrics.evaluation import chunks, draw
from gen.metrics.extractors import Extracted, Extractor
from gen.metrics.reference import open_reference
from gen.training import pick_device
from pipelines import cluster


def extract(
    model: Path, reference: Path, seed: int, samples: int, *, workers: int, where: Cluster, move: Callable[[int], None]
) -> Extracted:
    """Features and logits of the samples that `seed` stands for; the same numbers for any number of workers.

    Args:
        model: the exported folder; every worker's node reaches it.
        reference: the extractor's folder; so does it.
        seed: of sampling.
        samples: how many.
        workers: processes; one needs no Ray.
        where: the Ray to join.
        move: called with the number of samples done since its last call.
    """
    jobs = [(str(model.absolute()), str(reference.absolute()), seed, rows, samples) for rows in chunks(samples)]
    done = map(_part, jobs) if workers == 1 else _shared(jobs, workers, where)
    found = []
    for job, part in zip(jobs, done, strict=True):
        found.append(part)
        move(job[3].stop - job[3].start)
    return Extracted(torch.cat([p.features for p in found]), torch.cat([p.logits for p in found]))


def _shared(jobs: list[Any], workers: int, where: Cluster) -> Iterator[Extracted]:
    """The parts in order, from as many workers as the cluster has places for."""
    with cluster.joined(where, workers):
        have: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        gpus = int(have.get("GPU", 0))
        most = gpus or max(1, int(have.get("CPU", 1)))  # more would wait for ever for a place
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_Extracting)
        pool = ray.util.ActorPool([actor.remote() for _ in range(min(workers, most))])
        yield from pool.map(lambda actor, job: actor.part.remote(job), jobs)


class _Extracting:
    """What a Ray actor does: its model and extractor stay loaded."""

    def part(self, job: Any) -> Extracted:
        torch.set_num_threads(1)
        return _part(job)


def _part(job: tuple[str, str, int, slice, int]) -> Extracted:
    model, reference, seed, rows, samples = job
    family, extractor, device = _loaded(model, reference)
    said = extractor(draw(family, seed, rows, samples, device))
    return Extracted(said.features.cpu(), said.logits.cpu())


@functools.lru_cache(maxsize=1)
def _loaded(model: str, reference: str) -> tuple[Family, Extractor, torch.device]:
    device = pick_device("auto")
    return export.load(model).to(device), open_reference(Path(reference)).extract.to(device), device
