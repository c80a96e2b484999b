"""Samples of a model, or real images, as an extractor sees them: in this process, or shared out to Ray actors."""

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import ray
import torch
from jaxtyping import Float
from ray.exceptions import RayError, RayTaskError
from torch import Tensor

from gen import export
from gen.config.params import Cluster
from gen.data.dataset import Dataset, open_dataset
from gen.data.loader import padded
from gen.errors import InputError
from gen.evaluation.real_images import Piece, piece_features
from gen.evaluation.reference import load_extractor, open_reference
from gen.evaluation.sampling import Sampler, chunks
from gen.extractors import Extracted, Extractor
from gen.training.train import pick_device
from pipelines.runtime import cluster


def extract(
    model: Path,
    references: Sequence[Path],
    seeds: int,
    samples: int,
    *,
    dataset: Path,
    resolution: int | None,
    workers: int,
    where: Cluster,
    move: Callable[[int], None],
) -> Iterator[list[Extracted]]:
    """What each extractor says of the samples of a seed, one seed after the other; the samples are drawn once for all.

    The same numbers for any number of workers: a worker has one thread, since how many share a convolution may change
    its last bits.

    Args:
        model: the exported folder; every worker's node reaches it.
        references: the extractors' folders; it reaches them, too.
        seeds: of sampling, from 0.
        samples: how many, for each seed.
        dataset: prepared; whose test split a conditional family is told of.
        resolution: of the model's images.
        workers: processes; one needs no Ray.
        where: the Ray to join.
        move: called with the number of samples done since its last call.
    """
    loaded = (
        str(model.absolute()),
        tuple(str(one.absolute()) for one in references),
        str(dataset.absolute()),
        resolution,
    )
    jobs = [(loaded, seed, rows, samples) for seed in range(seeds) for rows in chunks(samples)]
    with closing(_shared(_samples, jobs, workers, where)) as done:
        for _ in range(seeds):
            found = []
            for rows in chunks(samples):
                found.append(next(done))
                move(rows.stop - rows.start)
            yield [
                Extracted(torch.cat([part.features for part in parts]), torch.cat([part.logits for part in parts]))
                for parts in zip(*found, strict=True)
            ]


def extract_real(
    pieces: Sequence[Piece],
    *,
    dataset: Path,
    resolution: int | None,
    extractor: str,
    weights: Path,
    workers: int,
    where: Cluster,
) -> Iterator[Float[Tensor, "n d"]]:
    """Features of the real images of each piece, in order; the same for any number of workers.

    Args:
        pieces: of the data set.
        dataset: prepared; every worker's node reaches it.
        resolution: images are padded to it.
        extractor: its name.
        weights: the folder that has the extractor's; every worker's node reaches it too.
        workers: processes; one needs no Ray.
        where: the Ray to join.
    """
    jobs = [(str(dataset.absolute()), str(weights.absolute()), extractor, resolution, piece) for piece in pieces]
    return _shared(_real, jobs, workers, where)


def _shared(work: Callable[[Any], Any], jobs: list[Any], workers: int, where: Cluster) -> Generator[Any]:
    """What `work` makes of each job, in order; from as many workers as the cluster has places for."""
    if workers == 1:
        yield from (_by_one_thread(work, job) for job in jobs)
        return
    with cluster.joined(where, workers):
        have: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        cpus, gpus = (int(have.get(kind, 0)) for kind in ("CPU", "GPU"))
        most = max(1, min(cpus, gpus) if gpus else cpus)  # more would wait for ever for a place
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_Worker)
        pool = ray.util.ActorPool([actor.remote() for _ in range(min(workers, most, len(jobs)))])
        try:
            yield from pool.map(lambda actor, job: actor.do.remote(work, job), jobs)
        except RayTaskError as error:
            if isinstance(error.cause, (InputError, OSError)):  # one line for the user, not the worker's traceback
                raise error.cause from None
            raise
        except RayError as error:
            message = str(error).strip().splitlines()[0]
            raise InputError(f"a worker that extracts features was lost ({message}); use fewer workers") from None


class _Worker:
    """What a Ray actor does: what it has loaded for one job stays for the next."""

    def do(self, work: Callable[[Any], Any], job: Any) -> Any:
        return _by_one_thread(work, job)


def _by_one_thread(work: Callable[[Any], Any], job: Any) -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work(job)
    finally:
        torch.set_num_threads(threads)


def _samples(job: tuple[tuple[str, tuple[str, ...], str, int | None], int, slice, int]) -> list[Extracted]:
    loaded, seed, rows, samples = job
    sampler, extractors = _loaded_model(*loaded)
    images = sampler.draw(seed, rows, samples)
    return [Extracted(*(part.cpu() for part in extractor(images))) for extractor in extractors]


def _real(job: tuple[str, str, str, int | None, Piece]) -> Float[Tensor, "n d"]:
    folder, weights, extractor, resolution, piece = job
    dataset, extract, device = _loaded_data(folder, weights, extractor, resolution)
    return piece_features(dataset, piece, resolution, extract, device)


@functools.lru_cache(maxsize=1)
def _loaded_model(
    model: str, references: tuple[str, ...], dataset: str, resolution: int | None
) -> tuple[Sampler, list[Extractor]]:
    device = pick_device("auto")
    extractors = [open_reference(Path(folder)).extract.to(device) for folder in references]
    return Sampler(export.load(model).to(device), open_dataset(Path(dataset)), resolution, device), extractors


@functools.lru_cache(maxsize=1)
def _loaded_data(
    folder: str, weights: str, extractor: str, resolution: int | None
) -> tuple[Dataset, Extractor, torch.device]:
    dataset, device = open_dataset(Path(folder)), pick_device("auto")
    loaded = load_extractor(Path(weights), extractor, padded(dataset, resolution), len(dataset.classes))
    return dataset, loaded.to(device), device
