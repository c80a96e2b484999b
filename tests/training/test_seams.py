"""What families keep of rows and do by the step, by a small one; two workers are in test_workers.py."""

from pathlib import Path

import pytest
import torch

from gen import export
from gen.data.dataset import Dataset
from gen.export import save
from gen.family import Noise
from gen.training.checkpoint import Checkpoints
from gen.training.loop import Loop, data_spec, initial_family
from gen.training.rehearsal import rehearse
from gen.training.train import train
from tests.training.test_loop import Watcher, same
from tests.training.tiny import logging, remembering

Datasets = dict[str, Dataset]


def test_a_memory_is_of_the_row_and_is_forgotten_by_nobody(datasets: Datasets) -> None:
    run = remembering()
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    for step in range(3):
        assert float(loop.step()["remembered"]) == 2 * (step + 1)
    (values,) = loop.state()["memories"]
    assert values.shape == (run.batch, 2)
    assert (values[:, 1] == 6).all()
    assert len(set(values[:, 0].tolist())) == run.batch, "each row its own"


def test_resumed_with_memories_and_phases_it_ends_in_the_same_bits(datasets: Datasets, tmp_path: Path) -> None:
    run, digits = remembering(steps=12), datasets["digits"]
    checkpoints = Checkpoints(str(tmp_path), "remembering", "0" * 64)
    rehearse(run, digits, "runs.mine")
    whole = Watcher()
    uninterrupted = train(run, digits, logging=logging(), callback=whole)
    train(run, digits, logging=logging(), callback=Watcher(stop_at=4), checkpoints=checkpoints)
    assert checkpoints.steps()[-1] == 4, "while it still changes with the step"
    again = Watcher()
    assert same(uninterrupted, train(run, digits, logging=logging(), callback=again, checkpoints=checkpoints))
    assert whole.losses() == again.losses()


@pytest.mark.parametrize("grad_accum_steps", [2, 4])
def test_microbatches_remember_what_a_whole_batch_does(grad_accum_steps: int, datasets: Datasets) -> None:
    found = []
    for parts in (1, grad_accum_steps):
        run = remembering(grad_accum_steps=parts)
        family = initial_family(run, datasets["digits"]).to(torch.float64)
        loop = Loop(run, family, datasets["digits"], dtype=torch.float64)
        for _ in range(3):
            loop.step()
        found.append(loop.state())
    torch.testing.assert_close(found[0]["memories"], found[1]["memories"])
    torch.testing.assert_close(dict(found[0]["family"]), dict(found[1]["family"]))


def test_an_exported_model_samples_as_it_was_trained_and_remembers_nothing(datasets: Datasets, tmp_path: Path) -> None:
    run, digits = remembering(steps=4), datasets["digits"]
    family = train(run, digits)
    save(tmp_path, family, "remembering", {}, data_spec(run, digits))
    again = export.load(tmp_path)
    noise = [Noise("z", rows=3) for _ in range(2)]
    assert torch.equal(again.sample(noise[0]), family.sample(noise[1]))  # type: ignore[attr-defined]
    assert float(again.grown) == 0.5  # type: ignore[attr-defined]
    assert export.conditions(tmp_path) is None
    assert {"slope", "grown"} == set(family.state_dict())
