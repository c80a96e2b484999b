"""What families keep of rows and do by the step, by a small one; two workers are in test_workers.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gen import export
from gen.config.params import Run
from gen.data.dataset import Dataset
from gen.data.prepare import prepare
from gen.data.source import Chunk, Description
from gen.errors import InputError
from gen.export import save
from gen.family import Noise
from gen.settings import Settings
from gen.training.checkpoint import Checkpoints
from gen.training.loop import Loop, data_spec, initial_family
from gen.training.rehearsal import rehearse
from gen.training.train import train
from tests.training.test_loop import Watcher, same
from tests.training.tiny import logging, matching, remembering

Datasets = dict[str, Dataset]


def test_a_memory_is_of_the_row_and_is_forgotten_by_nobody(datasets: Datasets) -> None:
    run = remembering()
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    for step in range(3):
        assert float(loop.step()["remembered"]) == 2 * (step + 1)
    (values,) = loop.state()["memories"]
    assert values.shape == (run.batch_size, 2)
    assert (values[:, 1] == 6).all()
    assert len(set(values[:, 0].tolist())) == run.batch_size, "each row its own"


@pytest.mark.parametrize("make", [remembering, matching])
def test_resumed_with_memories_phases_and_streams_it_ends_in_the_same_bits(
    make: Callable[..., Run], datasets: Datasets, tmp_path: Path
) -> None:
    run, digits = make(steps=12), datasets["digits"]
    checkpoints = Checkpoints(str(tmp_path), run.family, "0" * 64)
    rehearse(run, digits, "runs.mine")
    whole = Watcher()
    uninterrupted = train(run, digits, logging=logging(), callback=whole)
    train(run, digits, logging=logging(), callback=Watcher(stop_at=4), checkpoints=checkpoints)
    assert checkpoints.steps()[-1] == 4, "while it still changes with the step"
    again = Watcher()
    assert same(uninterrupted, train(run, digits, logging=logging(), callback=again, checkpoints=checkpoints))
    assert whole.losses() == again.losses()


@pytest.mark.parametrize("make", [remembering, matching])
@pytest.mark.parametrize("grad_accum_steps", [2, 4])
def test_microbatches_remember_and_see_what_a_whole_batch_does(
    grad_accum_steps: int, make: Callable[..., Run], datasets: Datasets
) -> None:
    found = []
    for parts in (1, grad_accum_steps):
        run = make(grad_accum_steps=parts)
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


def test_a_stream_has_the_same_rows_in_an_order_of_its_own(datasets: Datasets) -> None:
    digits = datasets["digits"]
    steps = digits.rows["train"] // 65
    run = matching(batch_size=65)
    loop = Loop(run, initial_family(run, digits), digits)
    rows: dict[str, list[tuple[float, ...]]] = {"images": [], "mismatched": []}
    for index in range(steps):
        batch = loop.loader[index]
        for name, images in (("images", batch.images), ("mismatched", batch.others["mismatched"].images)):
            rows[name] += [tuple(image.tolist()) for image in images.flatten(1)]
    assert sorted(rows["images"]) == sorted(rows["mismatched"])
    same_place = sum(one == other for one, other in zip(rows["images"], rows["mismatched"], strict=True))
    assert same_place < 0.02 * len(rows["images"]), "a few by chance"


class Horses:
    """A source of two domains: horses are dark, zebras bright."""

    class Config(Settings):
        """Nothing to set."""

    def files(self, config: object) -> list[object]:
        return []

    def describe(self, config: object) -> Description:
        return Description((1, 16, 16), "uint8", ("animal",), domains=("zebras",))

    def read(self, raw: Path, config: object) -> Iterator[Chunk]:
        for split in self.describe(config).splits:
            rows = 40 if split == "train" else 24
            images = np.full((rows, 1, 16, 16), 250 if split.endswith("zebras") else 5, np.uint8)
            yield Chunk(split, images, np.zeros(rows, np.int64), [f"{split}{row}" for row in range(rows)])


def test_a_second_domain_comes_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen.data.source.load_source", lambda *name: Horses())
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "PROVENANCE.json").write_text('{"files": []}')
    animals = prepare("animals", {"source": "horses"}, "animals", raw, tmp_path / "animals")
    assert animals.rows == {
        "train": 40, "validation": 24, "test": 24, "train.zebras": 24, "validation.zebras": 24, "test.zebras": 24,
    }  # fmt: skip
    run = matching(steps=4).model_copy(update={"model": {"domain": "zebras"}})
    rehearse(run, animals, "runs.mine")
    loop = Loop(run, initial_family(run, animals), animals)
    for batch in (loop.loader[7], loop.held_out("validation", 20)):
        assert (batch.images < -0.9).all()
        assert (batch.others["mismatched"].images > 0.9).all()
        assert len(batch.others["mismatched"].images) == len(batch.images)
    message = "runs.mine: matching sees images of a second domain, 'lions', and the train split of animals has none; "
    with pytest.raises(InputError, match=message):
        rehearse(run.model_copy(update={"model": {"domain": "lions"}}), animals, "runs.mine")
