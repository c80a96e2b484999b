"""The loop against a bare hand-written one: DCGAN on CIFAR-10 at 32x32, batch 64, fused Adam, EMA; and the start-up.

    GEN_MIRROR=/path/to/mirror python -m benchmarks.training

The loop does all that a run does between two checkpoints, a record every 20 steps included. The bare one is the
fastest honest loop we could write: the same networks and algorithm, images in memory as normalised floats, torch's own
random numbers, discriminator frozen while the generator moves. The tutorial's is told beside it: it draws the fakes
once for both updates, which is another algorithm, and does not freeze. Start-up is the time from the command
`gen train` to the first step it reports: with a Ray of its own, and when it joins one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.nn.functional import softplus

from benchmarks.report import report, spread
from gen.config.params import Cluster, Logging, Run
from gen.data.dataset import Dataset
from gen.data.fetch import fetch
from gen.data.prepare import prepare
from gen.families.dcgan import Model
from gen.training.journal import Journal, NullCallback
from gen.training.loop import Loop, initial_family
from gen.training.scores import Coordinates
from gen.training.train import pick_device
from pipelines.runtime import cluster

ROOT = Path(__file__).parent.parent
SECTION = {"source": "cifar10", "validation": 5000}
STARTED = "digits_dcgan"
BATCH, LATENT, LR, BETAS, DECAY = 64, 100, 2e-4, (0.5, 0.999), 0.999
NEVER = 10**9
LOGGING = Logging(metrics_every=20, grid_every=NEVER, checkpoint_every=NEVER, keep_checkpoints=1, profile_steps=0)
REPEATS = 60
SECONDS = 1.0
"""Length of a repeat, about: short, so that what else the machine does hits all alike."""


def run_of(threads: int) -> Run:
    compute = {"workers": 1, "threads": threads, "device": "auto", "precision": "float32", "channels_last": False}
    return Run.model_validate(
        {
            "family": "dcgan",
            "dataset": "cifar10",
            "group": "cifar10",
            "resolution": 32,
            "seed": 0,
            "steps": NEVER,
            "batch_size": BATCH,
            "ema": DECAY,
            "warm_start": None,
            "part": None,
            "compute": {**compute, "compile": False, "grad_accum_steps": 1},
            "model": {"latent_dim": LATENT, "width": 64, "k": 1, "lr": LR, "beta1": BETAS[0]},
        }
    )


def our_loop(run: Run, dataset: Dataset, device: torch.device) -> Callable[[], None]:
    loop = Loop(run, initial_family(run, dataset).to(device), dataset)
    journal = Journal(loop, LOGGING, NullCallback(), None, Coordinates())
    journal.open()
    return lambda: journal.after_step(loop.step(measure=journal.should_log(loop.steps_done + 1)))


class Bare:
    """What one writes by hand: two optimizers, two backward passes."""

    def __init__(self, model: Model, images: torch.Tensor) -> None:
        self.generator, self.discriminator, self.images = model.generator.train(), model.discriminator.train(), images
        adam = partial(torch.optim.Adam, lr=LR, betas=BETAS, fused=True, capturable=images.is_cuda)
        self.generator_adam = adam(self.generator.parameters())
        self.discriminator_adam = adam(self.discriminator.parameters())
        self.params: list[torch.Tensor] = list(self.generator.parameters())
        self.averages = [param.detach().clone() for param in self.params]
        self.order = torch.randperm(len(images), device=images.device)
        self.at = 0

    def real(self) -> torch.Tensor:
        """The next images of an endless shuffled stream."""
        if self.at + BATCH > len(self.images):
            self.order = torch.randperm(len(self.images), device=self.images.device)
            self.at = 0
        self.at += BATCH
        return self.images[self.order[self.at - BATCH : self.at]]

    def z(self) -> torch.Tensor:
        """Uniform in [-1, 1]."""
        return torch.rand(BATCH, LATENT, device=self.images.device) * 2 - 1

    def move_discriminator(self, fake: torch.Tensor) -> None:
        """-log D(x) - log(1 - D(G(z)))."""
        loss = softplus(-self.discriminator(self.real())).mean() + softplus(self.discriminator(fake)).mean()
        self.discriminator_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_adam.step()

    def move_generator(self, fake: torch.Tensor) -> None:
        """-log D(G(z)), and the average."""
        loss = softplus(-self.discriminator(fake)).mean()
        self.generator_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator_adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.params, 1 - DECAY)

    def step(self) -> None:
        """Fakes of their own for both networks."""
        with torch.no_grad():
            fake = self.generator(self.z())
        self.move_discriminator(fake)
        self.discriminator.requires_grad_(False)
        self.move_generator(self.generator(self.z()))
        self.discriminator.requires_grad_(True)

    def tutorial_step(self) -> None:
        """The same fakes for both."""
        fake = self.generator(self.z())
        self.move_discriminator(fake.detach())
        self.move_generator(fake)


def rate(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Steps per second."""
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - begin)


def rates(run: Run, dataset: Dataset, device: torch.device) -> tuple[list[float], list[float], list[float]]:
    """Of our loop, the bare one and the tutorial's: in turns, so that a busy machine is busy for all of them."""
    raw = torch.from_numpy(dataset.read("train").images)
    images = raw.to(device).float().div_(127.5).sub_(1)
    model = initial_family(run, dataset).to(device)
    assert isinstance(model, Model)
    bare = Bare(model, images)
    contestants = [our_loop(run, dataset, device), bare.step, bare.tutorial_step]
    for step in contestants:
        rate(step, 10, device)
    steps = max(2, round(SECONDS * rate(bare.step, 10, device)))
    turns = []
    for repeat in range(REPEATS):
        first = repeat % len(contestants)
        order = [*range(first, len(contestants)), *range(first)]
        turn = {which: rate(contestants[which], steps, device) for which in order}
        turns.append([turn[which] for which in range(len(contestants))])
    ours, theirs, tutorial = (list(column) for column in zip(*turns, strict=True))
    return ours, theirs, tutorial


def start_up(environment: dict[str, str]) -> float:
    """Seconds from the command to the line that tells of the only step of `digits_dcgan`, in the working directory."""
    begin = time.perf_counter()
    stage = subprocess.Popen(
        [str(Path(sys.executable).with_name("gen")), "train", STARTED, "--fresh"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stage.stdout is not None
    message = next((line for line in stage.stdout if ": step " in line), "")
    seconds = time.perf_counter() - begin
    stage.terminate()
    stage.communicate()
    assert message, "the stage ended before its first step"
    return seconds


def digits() -> None:
    """Prepare the digits in the working directory, for a run of one step: the last is told of at once."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["runs"][STARTED]["steps"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for stage in ("fetch", "prepare", "reference"):
        subprocess.run([Path(sys.executable).with_name("gen"), stage, "digits"], check=True)


def main() -> None:
    device = pick_device("auto")
    threads = torch.get_num_threads()
    run = run_of(threads)
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        fetch("cifar10", SECTION, "cifar10", Path("data/raw/cifar10"), mirror=os.environ["GEN_MIRROR"])
        dataset = prepare("cifar10", SECTION, "cifar10", Path("data/raw/cifar10"), Path("data/prepared/cifar10"))
        ours, bare, tutorial = rates(run, dataset, device)
        os.environ |= {"PYTHONPATH": str(ROOT)}
        digits()
        own = [start_up({}) for _ in range(3)]
        with cluster.joined(Cluster(address=None, storage="storage", max_failures=0), threads):
            joined = [start_up({"RAY_ADDRESS": cluster.address()}) for _ in range(3)]
        os.chdir("/")
    figures = {
        "ratio (wanted: 0.97)": spread([a / b for a, b in zip(ours, bare, strict=True)]),
        "ratio to the tutorial's": spread([a / b for a, b in zip(ours, tutorial, strict=True)]),
        "loop steps/s": spread(ours, 2),
        "bare steps/s": spread(bare, 2),
        "images/s": round(BATCH * statistics.median(ours)),
        "threads": threads,
        "trained on": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "start-up seconds": {"with a Ray of its own": spread(own, 1), "joining one": spread(joined, 1)},
    }
    report("training", figures, ["torch", "ray", "mlflow"])


if __name__ == "__main__":
    main()
