"""Trained models that a run begins with or is made of."""

import shutil
from pathlib import Path

import pytest
import torch

import gen
from gen import export
from gen.config.params import Run
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.export import save
from gen.training.checkpoint import Checkpoints
from gen.training.identity import identity
from gen.training.loop import Loop, data_spec, initial_family
from gen.training.rehearsal import rehearse
from gen.training.train import train
from tests.training.test_loop import Watcher, same
from tests.training.tiny import exported, inverting, logging, run_of

Datasets = dict[str, Dataset]


@pytest.fixture
def part(datasets: Datasets, tmp_path: Path) -> Path:
    """A trained DCGAN, whose batch norm has statistics."""
    return exported(tmp_path / "dcgan", run_of("dcgan", steps=3), datasets["digits"])


def test_a_part_stays_as_it_is(part: Path, datasets: Datasets) -> None:
    run, digits = inverting(part), datasets["digits"]
    loop = Loop(run, initial_family(run, digits), digits)
    before = {name: tensor.clone() for name, tensor in loop.family.state_dict().items()}
    first = loop.step()["error"]
    for _ in range(30):
        last = loop.step()["error"]
    assert last < first
    changed = {name for name, tensor in loop.family.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("encoder.")}
    trained = export.load(part).state_dict()
    assert all(torch.equal(before[f"part.family.{name}"], tensor) for name, tensor in trained.items())


def test_resumed_with_a_part_it_ends_in_the_same_bits(part: Path, datasets: Datasets, tmp_path: Path) -> None:
    run, digits = inverting(part, steps=12), datasets["digits"]
    checkpoints = Checkpoints(str(tmp_path / "storage"), "inverting", "0" * 64)
    rehearse(run, digits, "runs.mine")
    whole, again = Watcher(), Watcher()
    uninterrupted = train(run, digits, logging=logging(), callback=whole)
    train(run, digits, logging=logging(), callback=Watcher(stop_at=4), checkpoints=checkpoints)
    assert same(uninterrupted, train(run, digits, logging=logging(), callback=again, checkpoints=checkpoints))
    assert whole.losses() == again.losses()


def test_an_exported_model_has_its_part_within(part: Path, datasets: Datasets, tmp_path: Path) -> None:
    run, digits = inverting(part), datasets["digits"]
    model = gen.train(run, digits)
    folder = gen.save(model, tmp_path / "inverting")
    shutil.rmtree(part)
    again = gen.load(gen.save(gen.load(folder), tmp_path / "copy"))
    assert (again.name, again.notes["part"]["family"]) == ("inverting", "dcgan")
    images = torch.rand(4, 1, 16, 16) * 2 - 1
    codes = [one.family.encode(images) for one in (model, again)]  # type: ignore[attr-defined]
    assert torch.equal(*codes)
    assert torch.equal(*(one.family.decode(codes[0]) for one in (model, again)))  # type: ignore[attr-defined]


def test_what_a_run_is_made_with_decides_which_run_it_is(part: Path, datasets: Datasets, tmp_path: Path) -> None:
    run = inverting(part)
    first = identity(run, "data", "cpu")
    assert first == identity(run, "data", "cpu")
    exported(part, run_of("dcgan", steps=4), datasets["digits"])
    assert first != identity(run, "data", "cpu")


def refused(run: Run, dataset: Dataset) -> str:
    with pytest.raises(InputError) as caught:
        rehearse(run, dataset, "runs.mine")
    return str(caught.value)


def test_another_part_than_a_family_needs_is_refused(part: Path, datasets: Datasets, tmp_path: Path) -> None:
    digits = datasets["digits"]
    message = "runs.mine: model: inverting is made with a trained model; name it: part: <group>/<run>"
    assert refused(inverting(None), digits) == message
    given = run_of("gan", part=str(part))
    assert refused(given, digits) == "runs.mine: model: gan is not made with another model; leave part out"
    other = exported(tmp_path / "autoencoder", run_of("autoencoder", steps=1), digits)
    message = "runs.mine: model: inverting needs a part with the ability Latent, which autoencoder lacks"
    assert refused(inverting(other), digits) == message
    assert refused(inverting("nowhere"), digits).startswith("runs.mine: models/nowhere/model.json: no such file")


def test_warm_start_begins_with_the_other_model(datasets: Datasets, tmp_path: Path) -> None:
    digits, run = datasets["digits"], run_of("gan")
    trained = train(run, digits)
    save(tmp_path / "gan", trained, "gan", run.model, data_spec(run, digits))
    warm = run_of("gan", warm_start=str(tmp_path / "gan"))
    rehearse(warm, digits, "runs.mine")
    assert same(trained, initial_family(warm, digits))
    message = refused(run_of("dcgan", warm_start=str(tmp_path / "gan")), digits)
    assert message.startswith(f"runs.mine: {tmp_path}/gan/weights.safetensors: weights of another model: ")
    assert "the run asks for" in message


def test_a_warm_start_keeps_the_part_that_the_run_names(part: Path, datasets: Datasets, tmp_path: Path) -> None:
    digits = datasets["digits"]
    other = exported(tmp_path / "other", run_of("dcgan", steps=5), digits)
    model = gen.save(gen.train(inverting(other), digits), tmp_path / "inverting")
    family = initial_family(inverting(part, warm_start=str(model)), digits)
    weights, named = export.load(model).state_dict(), export.load(part).state_dict()
    assert all(torch.equal(weights[name], one) for name, one in family.state_dict().items() if "encoder" in name)
    assert all(torch.equal(family.state_dict()[f"part.family.{name}"], one) for name, one in named.items())
