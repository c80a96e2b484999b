"""The loop on every family: what a run is a function of, and what it says."""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.family import Family, ImageShape, Noise, OptimizerStep
from gen.optimizers import adam
from gen.training.checkpoint import Checkpoints
from gen.training.gradients import apply, clip
from gen.training.journal import Diverged, Journal, NullCallback
from gen.training.loop import Loop, initial_family
from gen.training.scores import Coordinates
from gen.training.train import train
from tests.families.small import POINTS, forms, mixes_microbatches
from tests.training.tiny import logging, run_of

every_form = pytest.mark.parametrize(
    ("name", "image"), forms(), ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value
)


Datasets = dict[str, Dataset]


ROOT = Path(__file__).parents[2]


class Watcher:
    """Remembers what it is told; asks for a stop once `stop_at` steps are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.message: list[tuple[int, dict[str, float]]] = []
        self.grids: list[tuple[int, Tensor]] = []
        self.reconstructions: list[tuple[int, Tensor]] = []

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.message.append((step, dict(values)))

    def grid(self, step: int, images: Tensor, name: str) -> None:
        (self.grids if name == "samples" else self.reconstructions).append((step, images))

    def stop(self) -> bool:
        return self.stop_at is not None and self.message[-1][0] >= self.stop_at

    def losses(self) -> list[tuple[int, dict[str, float]]]:
        """What does not depend on the clock."""
        return [
            (step, {k: v for k, v in values.items() if "second" not in k and "time" not in k})
            for step, values in self.message
        ]


def same(a: Family, b: Family) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def moved(family: Family, run_family: Family) -> float:
    pairs = zip(family.named_parameters(), run_family.named_parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for (_, a), (_, b) in pairs)


@every_form
def test_a_run_repeats_to_the_bit_and_moves(name: str, image: ImageShape, datasets: Datasets) -> None:
    run = run_of(name, image)
    data = datasets[run.dataset]
    first, second = train(run, data), train(run, data)
    assert same(first, second)
    assert moved(first, initial_family(run, data)) > 0
    assert not same(first, train(run.model_copy(update={"seed": 4}), data))


@every_form
def test_resumed_equals_uninterrupted(name: str, image: ImageShape, datasets: Datasets, tmp_path: Path) -> None:
    run = run_of(name, image, steps=12)
    data, checkpoints = datasets[run.dataset], Checkpoints(str(tmp_path), name, "0" * 64)
    whole, part, rest = Watcher(), Watcher(stop_at=6), Watcher()
    uninterrupted = train(run, data, logging=logging(), callback=whole)
    train(run, data, logging=logging(), callback=part, checkpoints=checkpoints)
    assert checkpoints.steps()[-1] == 6
    resumed = train(run, data, logging=logging(), callback=rest, checkpoints=checkpoints)
    assert same(uninterrupted, resumed)
    assert rest.losses() == whole.losses()  # told again what came before
    assert part.losses() == whole.losses()[: len(part.message)]
    assert [step for step, _ in whole.grids or whole.reconstructions] == [0, 4, 8, 12]
    assert [step for step, _ in rest.grids or rest.reconstructions] == [4, 8, 12]  # and what was shown last
    for told, again in ((whole.grids, rest.grids), (whole.reconstructions, rest.reconstructions)):
        for (step, images), (same_step, same_images) in zip(told[1:], again, strict=True):
            assert step == same_step
            assert torch.equal(images, same_images)
    state = checkpoints.newest()
    assert state is not None
    assert [row["step"] for row in state["history"]] == [step for step, _ in whole.message]


@every_form
def test_microbatches_equal_one_batch(name: str, image: ImageShape, datasets: Datasets) -> None:
    if mixes_microbatches(name, image):
        pytest.skip("batch norm and minibatch deviation see the microbatch, by their definition")
    whole = run_of(name, image)
    data = datasets[whole.dataset]
    cut = run_of(name, image, grad_accum_steps=4)
    first, second = train(whole, data, dtype=torch.float64), train(cut, data, dtype=torch.float64)
    for (_, a), (_, b) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-14)


def test_losses_and_norms_are_said_with_images_seen(datasets: Datasets) -> None:
    watcher = Watcher()
    run = run_of("gan", steps=4, k=3)
    train(run, datasets["digits"], logging=logging(), callback=watcher)
    step, values = watcher.message[0]
    assert step == 2
    assert {"loss/discriminator", "loss/generator", "gradient_norm/discriminator"} <= values.keys()
    assert values["images_seen"] == 2 * 3 * run.batch_size  # the generator's updates see no images
    assert values["images_per_second"] == pytest.approx(values["steps_per_second"] * 3 * run.batch_size)
    assert all(math.isfinite(value) for _, message in watcher.message for value in message.values())
    assert "validation/sliced_wasserstein" in watcher.message[-1][1]


def test_a_grid_comes_when_it_is_due(datasets: Datasets) -> None:
    watcher = Watcher()
    often = logging(metrics_every=2, grid_every=3, checkpoint_every=100)
    train(run_of("gan", POINTS), datasets["ring8"], logging=often, callback=watcher)
    assert [step for step, _ in watcher.grids] == [0, 3, 6, 8]


def test_a_diverged_run_ends_with_its_last_good_checkpoint(datasets: Datasets, tmp_path: Path) -> None:
    run = run_of("wgan", POINTS, steps=400, lr=1e30, clip=1e30)
    checkpoints = Checkpoints(str(tmp_path), "wgan", "0" * 64)
    with pytest.raises(Diverged, match=r"(loss/\w+ is (nan|-?inf)|a weight is not finite) at step \d+"):
        train(run, datasets["ring8"], logging=logging(), checkpoints=checkpoints)
    assert checkpoints.newest() is None, "it never was good"


def test_a_run_that_diverges_late_keeps_its_last_good_checkpoint(datasets: Datasets, tmp_path: Path) -> None:
    run = run_of("gan", POINTS, steps=12)
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    loop = Loop(run, initial_family(run, datasets["ring8"]), datasets["ring8"])
    journal = Journal(loop, logging(), NullCallback(), checkpoints, Coordinates())
    journal.open()
    while loop.steps_done < 6:
        journal.after_step(loop.step(measure=journal.should_log(loop.steps_done + 1)))
    next(param for _, param in loop.family.named_parameters()).data.fill_(torch.nan)
    loop.step()
    losses = loop.step(measure=True)
    with pytest.raises(Diverged, match="at step 8"):
        journal.after_step(losses)
    state = checkpoints.newest()
    assert state is not None
    assert state["steps_done"] == 4
    assert all(value.isfinite().all() for value in state["family"].values())


def test_what_was_half_written_is_gone_once_a_run_goes_on(datasets: Datasets, tmp_path: Path) -> None:
    run = run_of("gan", POINTS, steps=12)
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    one = logging(keep_checkpoints=1)
    train(run, datasets["ring8"], logging=one, callback=Watcher(4), checkpoints=checkpoints)
    checkpoints.put("step_00000012/state.pt", b"killed while it was writ")
    train(run, datasets["ring8"], logging=one, callback=Watcher(8), checkpoints=checkpoints)
    assert checkpoints.steps() == [8], "neither finished nor lost"
    state = checkpoints.newest()
    assert state is not None
    assert state["steps_done"] == 8


def test_an_update_that_looks_at_no_batch_loads_none(datasets: Datasets, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []
    load = Loader.__getitem__
    monkeypatch.setattr(Loader, "__getitem__", lambda loader, index: loaded.append(index) or load(loader, index))
    run = run_of("gan", POINTS, k=2)
    loop = Loop(run, initial_family(run, datasets["ring8"]), datasets["ring8"])
    for _ in range(3):
        loop.step()
    assert loaded == [0, 1, 2, 3, 4, 5], "those of the discriminator's updates, in order"


def test_gradients_are_cut_to_max_norm() -> None:
    gradients: list[Tensor | None] = [torch.tensor([3.0]), None, torch.tensor([4.0])]
    assert float(clip(gradients, max_norm=1.0)) == 5.0
    assert gradients[0] is not None
    assert float(gradients[0]) == pytest.approx(0.6)


def test_schedule_scales_the_learning_rate() -> None:
    param = nn.Parameter(torch.zeros(1))
    move = OptimizerStep(
        params=[param], optimizer=lambda p: torch.optim.SGD(p, lr=1.0), schedule=lambda step: 0.5**step
    )
    optimizer = move.optimizer([param])
    for step in range(3):
        apply(move, [torch.ones(1)], optimizer, step)
    assert float(param.detach()) == -(1 + 0.5 + 0.25)


def test_bfloat16_and_channels_last_train(datasets: Datasets) -> None:
    run = run_of("wgan_gp", precision="bfloat16", channels_last=True)
    family = train(run, datasets["digits"])
    plain = train(run_of("wgan_gp"), datasets["digits"])
    assert {param.dtype for _, param in family.named_parameters()} == {torch.float32}
    assert 0 < moved(family, plain) < 0.01


@pytest.mark.parametrize("steps", [14, 11])
def test_profile_leaves_a_trace(steps: int, datasets: Datasets, tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    run = run_of("gan", steps=steps)
    train(run, datasets["digits"], logging=logging(profile_steps=2), checkpoints=checkpoints)
    trace = Path(checkpoints.root) / "trace.json.gz"
    assert trace.stat().st_size > 1000


def test_noise_rows_do_not_depend_on_who_draws_them() -> None:
    whole = Noise(1, "x", rows=8).normal(3)
    parts = [Noise(1, "x", rows=8, take=slice(rank, None, 2)).normal(3) for rank in range(2)]
    assert torch.equal(whole[0::2], parts[0])
    assert torch.equal(whole[1::2], parts[1])
    assert not torch.equal(whole, Noise(2, "x", rows=8).normal(3))
    uniform = Noise(1, rows=1000).uniform(2, low=-1.0, high=1.0)
    assert -1 <= float(uniform.min()) < -0.9 < 0.9 < float(uniform.max()) < 1


COMPILED = """
import sys
from pathlib import Path
import torch
from gen.data.dataset import open_dataset
from gen.training.train import train
from tests.training.test_loop import moved
from tests.training.tiny import run_of
digits = open_dataset(Path(sys.argv[1]))
for name in ("dcgan", "wgan_gp"):
    eager, compiled = (train(run_of(name, compile=on), digits, dtype=torch.float64) for on in (False, True))
    assert moved(eager, compiled) < 1e-8, (name, moved(eager, compiled))  # Adam turns rounding near 0 into whole steps
print("equal")
"""


def test_a_gradient_that_lies_otherwise_in_memory_moves_the_same_weights() -> None:
    """The fused optimizer alone would move others."""
    start = torch.arange(2 * 3 * 4 * 4, dtype=torch.float64).reshape(2, 3, 4, 4) / 100
    gradient = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved_to = []
    for laid in (gradient, gradient.to(memory_format=torch.channels_last)):
        param = nn.Parameter(start.clone())
        move = OptimizerStep(params=[param], optimizer=adam(0.1, (0.5, 0.999)))
        apply(move, [laid], move.optimizer([param]), 0)
        moved_to.append(param.detach().clone())
    assert torch.equal(*moved_to)


@pytest.mark.slow
def test_compiled_equals_eager(datasets: Datasets) -> None:
    """In a process of its own: the shapes that tests check at run time are in the compiler's way."""
    command = [sys.executable, "-c", COMPILED, str(datasets["digits"].folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
