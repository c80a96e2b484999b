"""What a step of several workers is made of, and what that would come to on many GPUs.

    python -m benchmarks.scaling

Measured with two processes of one thread on this machine, gloo between them, on random images of the size of digits:

- the time of a step with a worker's share of the batch when nothing is exchanged (both processes run, so that they
  share the machine as they do later), and with exchange; its parts: data, exchange (waiting for the other included);
- bytes that a worker contributes to a step, and in how many calls;
- an all-reduce of few and one of many bytes, from which latency and bandwidth follow;
- the whole of `gen train` on two workers of Ray against the same two processes without Ray: steps per second.

The model of a step's time is compute of the share + calls x latency + bytes / bandwidth. It is held against the
measured step here, and applied to clusters of GPUs by figures that are assumed and named, for runs of
paper/params.yaml, whose arithmetic is counted.
"""

import argparse
import dataclasses
import json
import math
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor
from torch.multiprocessing import spawn  # type: ignore[attr-defined]
from torch.utils.flop_counter import FlopCounterMode

import gen
from benchmarks.report import report, spread
from gen.config.load import load_params
from gen.config.params import Cluster, Logging, Run
from gen.data.dataset import Dataset, open_dataset
from gen.data.loader import Loader
from gen.evaluation.reference import open_reference, write_reference
from gen.training.journal import NullCallback
from gen.training.loop import Loop, initial_family
from gen.training.workers import SINGLE_PROCESS, Workers
from pipelines.runtime import cluster
from pipelines.runtime.fit import fit, follow
from pipelines.runtime.jobs import job_of
from pipelines.runtime.mailbox import Mailbox
from pipelines.runtime.memory import keep_freed_memory
from pipelines.runtime.worker import Job, run_job

RUNS = ("digits_gan", "digits_dcgan", "digits_wgan_gp", "digits_vae", "digits_ali", "digits_pixel_cnn")
WITH_RAY = "digits_dcgan"
RAY_STEPS = 400
STEPS, WARM = 20, 5
FEW, MANY = 1 << 10, 1 << 24
"""Bytes of an all-reduce."""
PAPER = ("celeba_dcgan", "celeba_wgan", "cifar10_ali", "cifar10_big_gan", "mnist_pixel_cnn")
FLOPS, FAST, LATENCY = 150e12, 300e9, 10e-6
"""Assumed of a GPU of the H100's kind: arithmetic it reaches on these networks in bfloat16, a second; bytes a second
that an all-reduce moves within a machine of eight; and seconds for each of its rounds."""
SLOW = 40e9
"""The same bytes between machines: a network of 400 Gbit/s for each GPU."""


class Timed(Workers):
    """Counts what is exchanged, and for how long."""

    seconds, bytes, calls = 0.0, 0, 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """As the loop's."""
        begin = time.perf_counter()
        super().average(tensors)
        Timed.seconds += time.perf_counter() - begin
        Timed.bytes += 4 * sum(tensor.numel() for tensor in tensors)
        Timed.calls += 1


def noise(folder: Path) -> Dataset:
    """Random images of the size of digits."""
    pixels = np.random.default_rng(0).integers(0, 256, (1280, 16, 16), dtype=np.uint8)
    return gen.dataset_of(pixels, labels=np.arange(1280) % 10, folder=folder / "noise")


def warmed(loop: Loop) -> Loop:
    """The loop, after steps that are not timed."""
    for _ in range(WARM):
        loop.step()
    return loop


def timed_steps(loop: Loop) -> list[float]:
    """Seconds of each of STEPS steps."""
    found = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        loop.step()
        found.append(time.perf_counter() - begin)
    return found


def in_a_worker(rank: int, folder: Path, data: Path) -> None:
    """Measure all runs, as one of two processes; the first writes what it found."""
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    params = load_params(Path("params.yaml"))
    found: dict[str, Any] = {}
    for name in RUNS:
        run, dataset = params.run(name), open_dataset(data)
        torch.distributed.barrier()
        share = run.model_copy(update={"batch_size": run.batch_size // 2})
        alone = timed_steps(warmed(Loop(share, initial_family(run, dataset), dataset)))
        torch.distributed.barrier()
        loop = warmed(Loop(run, initial_family(run, dataset), dataset, Timed(rank, 2)))
        loading = timed(Loader, "__getitem__")
        Timed.seconds, Timed.bytes, Timed.calls = 0.0, 0, 0
        together = timed_steps(loop)
        found[name] = {
            "alone": statistics.median(alone),
            "together": statistics.median(together),
            "data": sum(loading) / STEPS,
            "exchange": Timed.seconds / STEPS,
            "bytes": Timed.bytes // STEPS,
            "calls": Timed.calls / STEPS,
        }
    found["all-reduce"] = [all_reduce(FEW), all_reduce(MANY)]
    if rank == 0:
        (folder / "found.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def timed(kind: type, method: str) -> list[float]:
    """Seconds of each call of a method from now on."""
    seconds: list[float] = []
    original: Callable[..., Any] = getattr(kind, method)
    original = getattr(original, "untimed", original)

    def call(*arguments: Any) -> Any:
        begin = time.perf_counter()
        found = original(*arguments)
        seconds.append(time.perf_counter() - begin)
        return found

    call.untimed = original  # type: ignore[attr-defined]
    setattr(kind, method, call)
    return seconds


def all_reduce(size: int) -> float:
    """Median seconds of one of so many bytes."""
    values = torch.ones(size // 4)
    found = []
    for _ in range(30):
        torch.distributed.barrier()
        begin = time.perf_counter()
        torch.distributed.all_reduce(values)
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def line(few: float, many: float) -> tuple[float, float]:
    """Latency in seconds and bandwidth in bytes a second, from the seconds of FEW and of MANY bytes."""
    return few, (MANY - FEW) / (many - few)


class Rates(NullCallback):
    """Keeps the speed that a training reports, once it has warmed up."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """One record."""
        if step > RAY_STEPS // 4 and "steps_per_second" in values:
            self.found.append(values["steps_per_second"])


class Heard:
    """The same of what Ray's workers say."""

    def __init__(self) -> None:
        self.rates = Rates()
        self.metrics = self.rates.metrics

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """None is looked at."""


def without_ray(rank: int, job: Job, folder: Path) -> None:
    """The work of one of Ray's workers, without Ray."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    rates = Rates()
    run_job(job, rates, Workers(rank, 2))
    if rank == 0:
        (folder / "rates.json").write_text(json.dumps(rates.found))
    torch.distributed.destroy_process_group()


def job(dataset: Dataset, storage: Path, mailbox: Any) -> Job:
    """Training on two workers, with the records of params.yaml and no checkpoint but the last."""
    params = load_params(Path("params.yaml"))
    run = params.run(WITH_RAY)
    compute = run.compute.model_copy(update={"workers": 2, "device": "cpu"})
    run = run.model_copy(update={"steps": RAY_STEPS, "compute": compute})
    reference = storage.parent / "pixels"
    if not reference.exists():
        reference.mkdir()
        write_reference(
            reference, extractor="pixels", dataset=dataset, resolution=None, notes={}, move=lambda images: None
        )
    logging = Logging(metrics_every=20, grid_every=10**6, checkpoint_every=10**6, keep_checkpoints=1, profile_steps=0)
    return job_of(
        run,
        "scaling",
        (dataset, open_reference(reference)),
        device="cpu",
        score_samples=64,
        score_every=10**6,
        logging=logging,
        storage=str(storage),
        identity=f"{time.time_ns():x}".ljust(64, "0"),
        mailbox=mailbox,
    )


def with_ray(dataset: Dataset, folder: Path) -> float:
    """Median steps a second of a training on two workers of Ray."""
    heard, mailbox = Heard(), Mailbox()
    told = job(dataset, folder / "storage", mailbox.handle)
    ended = follow(mailbox, fit(told, 0, "cpu"), [heard], threading.Event())
    assert ended.outcome == "finished", ended
    return statistics.median(heard.rates.found)


def plain(dataset: Dataset, folder: Path) -> float:
    """The same of two processes."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        told = dataclasses.replace(job(dataset, folder / "storage", None), node="")
        spawn(without_ray, (told, Path(place)), nprocs=2)  # type: ignore[no-untyped-call]
        rates: list[float] = json.loads((Path(place) / "rates.json").read_text())
        return statistics.median(rates)


def counted(run: Run, dataset: Dataset) -> dict[str, float]:
    """Arithmetic of a step for each image, bytes of its exchange, and in how many calls."""
    few = run.model_copy(update={"batch_size": 4, "compute": run.compute.model_copy(update={"grad_accum_steps": 1})})
    loop = Loop(few, initial_family(few, dataset), dataset, SINGLE_PROCESS)
    loop.workers, loop.steps_done = Timed(0, 1), 1001  # no step of WGAN with a hundred of the critic
    Timed.bytes, Timed.calls = 0, 0
    with FlopCounterMode(display=False) as counter:
        loop.step()
    return {"flops": counter.get_total_flops() / 4, "bytes": Timed.bytes, "calls": Timed.calls}


def projected(run: Run, found: dict[str, float], gpus: int) -> dict[str, float]:
    """Milliseconds of compute and exchange of a step with the run's batch on every GPU, and the share of compute."""
    compute = run.batch_size * found["flops"] / FLOPS
    bandwidth = FAST if gpus <= 8 else SLOW
    rounds = 2 * math.ceil(math.log2(gpus))
    exchange = found["calls"] * rounds * LATENCY + 2 * (gpus - 1) / gpus * found["bytes"] / bandwidth
    return {
        "compute ms": round(1000 * compute, 3),
        "exchange ms": round(1000 * exchange, 3),
        "efficiency": round(compute / (compute + exchange), 3),
    }


def main() -> None:
    """Measure, and project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = noise(folder)
        paper = load_params(Path("paper/params.yaml"))
        projection = {
            name: {str(gpus): projected(paper.run(name), found, gpus) for gpus in (8, 64, 512)}
            | {"GFLOP an image": round(found["flops"] / 1e9, 3), "MB a step": round(found["bytes"] / 1e6, 1)}
            for name in PAPER
            for found in [counted(paper.run(name), like(folder, paper.run(name)))]
        }
        rounds = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                spawn(in_a_worker, (Path(place), dataset.folder), nprocs=2)  # type: ignore[no-untyped-call]
                rounds.append(json.loads((Path(place) / "found.json").read_text()))
        network = [line(*one["all-reduce"]) for one in rounds]
        figures: dict[str, Any] = {
            "all-reduce between two processes": {
                "latency in ms": spread([1000 * latency for latency, _ in network]),
                "MB/s": spread([bandwidth / 1e6 for _, bandwidth in network], 0),
            }
        }
        for name in RUNS:
            each = [one[name] for one in rounds]
            expected = [
                one["alone"] + one["calls"] * latency + one["bytes"] / bandwidth
                for one, (latency, bandwidth) in zip(each, network, strict=True)
            ]
            figures[name] = {
                "kilobytes a step": round(each[0]["bytes"] / 1000),
                "calls a step": each[0]["calls"],
                "step in ms": spread([1000 * one["together"] for one in each]),
                "share of data": spread([one["data"] / one["together"] for one in each]),
                "share of exchange and waiting": spread([one["exchange"] / one["together"] for one in each]),
                "model / measured": spread([x / one["together"] for x, one in zip(expected, each, strict=True)]),
            }
        with cluster.joined(Cluster(address=None, storage=str(folder), max_failures=0), 2):
            pairs = [(plain(dataset, folder), with_ray(dataset, folder)) for _ in range(repeats)]
        figures[f"{WITH_RAY} on two workers, steps/s without Ray / with"] = spread([a / b for a, b in pairs])
        figures["projection"] = projection
    report("scaling", figures, ["torch", "ray"])


def like(folder: Path, run: Run) -> Dataset:
    """A few random images of the shape that a run of paper/params.yaml is trained on."""
    side = run.resolution or {"celeba": 64, "cifar10": 32, "svhn": 32, "mnist": 28}[run.dataset]
    shape = (64, 28, 28) if run.dataset == "mnist" else (64, side, side, 3)
    place = folder / f"like-{run.dataset}"
    if place.exists():
        return open_dataset(place)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return gen.dataset_of(pixels, labels=np.arange(64) % 10, folder=place)


if __name__ == "__main__":
    main()
