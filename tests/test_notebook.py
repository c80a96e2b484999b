"""What `import gen` offers: training, sampling and data sets as a notebook uses them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gen
from gen.config.params import Compute
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.families import family_module, family_names
from gen.model import Model, whole

SMALL: dict[str, Any] = {"steps": 4, "batch_size": 8}


@pytest.fixture(scope="module")
def models(datasets: dict[str, Dataset]) -> dict[str, Model]:
    return {family: gen.train(family, datasets["digits"], **SMALL) for family in ("gan", "cgan", "autoencoder")}


def test_importing_it_imports_little() -> None:
    heavy = ("torch", "ray", "mlflow", "dvc", "optuna", "pandas", "pydantic")
    code = f"import sys, gen; assert 'train' in dir(gen); print([one for one in {heavy} if one in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert all(hasattr(gen, name) for name in gen.__all__)
    with pytest.raises(AttributeError, match="module 'gen' has no attribute 'trian'"):
        gen.trian  # noqa: B018


def test_samples_come_by_number_and_seed_without_gradients(models: dict[str, Model]) -> None:
    model = models["gan"]
    images = model.sample(5)
    assert images.shape == (5, 1, 16, 16)
    assert not images.requires_grad
    assert torch.equal(images, model.sample(gen.Noise(0, rows=5)))
    assert whole(np.int64(5), "rows") == 5
    assert torch.equal(model.sample(5, seed=1), model.sample(gen.Noise(1, rows=5)))
    assert not torch.equal(images, model.sample(5, seed=1))
    assert gen.show(images).size == (8 * 17 * 2 - 2, 32)
    assert repr(model).startswith("Model(gan: images of 1x16x16, ")


def test_a_class_is_asked_for_by_number_or_name(models: dict[str, Model]) -> None:
    model = models["cgan"]
    three = model.sample(4, label=3)
    assert torch.equal(three, model.sample(4, label="3"))
    assert torch.equal(three, model.sample(4, label=[3, 3, 3, 3]))
    assert torch.equal(three, model.sample(gen.Noise(0, rows=4), label=3))
    assert not torch.equal(three, model.sample(4, label=4))
    assert model.sample(20).shape[0] == 20  # of its examples


@pytest.mark.parametrize(
    ("family", "asked", "line"),
    [
        ("gan", {"label": 3}, "label: gan cannot be asked for a class: it is not conditional; leave label out"),
        ("cgan", {"label": 10}, r"label: 10; the classes are 0 to 9 \(0, 1, 2, .*, 9\)"),
        ("cgan", {"label": "ten"}, "label: no class 'ten'; known: 0, 1, 2"),
        ("cgan", {"label": [1, 2]}, "label: 2 labels for 4 samples; give one, or one for each"),
        ("autoencoder", {}, "autoencoder does not sample: it has no prior"),
        ("gan", {"rows": 0}, "rows: 0; use a whole number of at least 1"),
    ],
)
def test_what_cannot_be_sampled_is_one_line(
    family: str, asked: dict[str, Any], line: str, models: dict[str, Model]
) -> None:
    with pytest.raises(InputError, match=f"^{line}") as caught:
        models[family].sample(**({"rows": 4} | asked))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["gan", "cgan"])
def test_a_saved_model_samples_the_same(family: str, models: dict[str, Model], tmp_path: Path) -> None:
    again = gen.load(gen.save(models[family], tmp_path / "model"))
    assert torch.equal(again.sample(16), models[family].sample(16))
    assert again.classes == models[family].classes == tuple("0123456789")
    gen.load(gen.save(again, tmp_path / "again"))


def test_a_function_is_told_how_training_goes(datasets: dict[str, Dataset]) -> None:
    told: list[tuple[int, Mapping[str, float]]] = []
    gen.train("gan", datasets["digits"], callback=lambda step, values: told.append((step, values)), every=2, **SMALL)
    steps = [step for step, values in told if {"loss/generator", "images_per_second"} <= values.keys()]
    assert steps == [2, 4]


@pytest.mark.parametrize(
    ("family", "changes", "line"),
    [
        ("dcgam", {}, "family: unknown family 'dcgam'; did you mean dcgan?"),
        ("gan", {"stesp": 3}, "gan.stesp: unknown; did you mean steps?"),
        ("gan", {"batch": 3}, "gan.batch: unknown; did you mean batch_size?"),
        ("gan", {"device": "cuda"}, "device: cuda: this machine has none; use auto or cpu"),
        ("gan", {"every": 0}, "every: 0; use a whole number of at least 1"),
        ("gan", {"lr": -1.0}, "gan.lr: input should be greater than 0; got -1.0"),
        ("gan", {"steps": 0}, "run.steps: input should be greater than 0; got 0"),
        ("dcgan", {"resolution": 24}, "dcgan: image of 24x24: convolutional networks make squares of"),
        ("gan", {"lr": 1e30, "steps": 50}, "gan: diverged: "),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    family: str, changes: dict[str, Any], line: str, datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        gen.train(family, datasets["digits"], **(SMALL | changes))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_what_is_no_data_set_or_picture_is_one_line() -> None:
    """In a process of its own, where nothing but the code itself looks at the kinds of arguments."""
    code = """
import numpy as np, gen
for wrong in (
    lambda: gen.train("gan", "digits"),
    lambda: gen.run_of("gan", np.zeros((9, 8, 8), np.uint8)),
    lambda: gen.show(np.zeros((9, 1, 8, 8))),
):
    try:
        wrong()
    except ValueError as error:
        print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    remedy = "is no data set; give gen.open_dataset(folder), or gen.dataset_of(images, labels, folder=...)"
    assert found.stdout.splitlines() == [
        f"dataset: str {remedy}",
        f"dataset: ndarray {remedy}",
        "images: ndarray; give a tensor, such as model.sample(64)",
    ]


def test_each_family_has_a_run_by_its_name(datasets: dict[str, Dataset]) -> None:
    for family in family_names():
        run = gen.run_of(family, datasets["digits"])
        assert run.model == family_module(family).Config().model_dump(), "the paper's values"
        assert (run.dataset, run.steps, run.compute) == ("digits", 1000, Compute())
    changed = gen.run_of("gan", datasets["digits"], lr=1e-3, seed=2, threads=2)
    assert (changed.model["lr"], changed.seed, changed.compute.threads) == (1e-3, 2, 2)


def test_a_data_set_of_arrays(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 16, 16), np.uint8)
    labels = np.arange(50) % 3
    made = gen.dataset_of(images, labels, folder=tmp_path / "mine", classes=("a", "b", "c"))
    assert repr(made) == "Dataset(mine: 40 train, 5 validation, 5 test; 1x16x16, 3 classes)"
    assert len(made) == 40
    rows = made.read("train")
    assert np.array_equal(rows.images[:, 0], images[[int(one) for one in rows.ids]])
    assert np.array_equal(rows.labels, labels[[int(one) for one in rows.ids]])
    assert gen.open_dataset(str(tmp_path / "mine")).digest == made.digest
    assert gen.train("cgan", made, **SMALL).sample(3, label="b").shape == (3, 1, 16, 16)
    colour = gen.dataset_of(np.zeros((20, 8, 8, 3), np.uint8), folder=tmp_path / "colour")
    assert colour.shape == (3, 8, 8)
    assert colour.classes == ()


@pytest.mark.parametrize(
    ("images", "labels", "line"),
    [
        (np.zeros((9, 8, 8)), None, "images: of float64; give pixels of 0 to 255 as uint8"),
        (np.zeros((9, 8), np.uint8), None, r"images: of shape \(9, 8\); give"),
        (np.zeros((9, 8, 8), np.uint8), np.zeros(8, int), "labels: int64 of shape .8,.; give a whole number"),
        (np.zeros((1, 8, 8), np.uint8), np.array([5]), "labels: 5 is there, and 1 classes"),
    ],
)
def test_arrays_that_are_none(images: Any, labels: Any, line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{line}"):
        gen.dataset_of(images, labels, folder=tmp_path / "mine", classes=("only",) if labels is not None else ())
    assert not (tmp_path / "mine").exists()
