"""Two domains that nothing pairs: of a data set's classes or attributes, and in a person's own folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gen.data.dataset import Dataset
from gen.data.domains import Domains
from gen.data.fetch import fetch
from gen.data.loader import Loader
from gen.data.prepare import prepare
from gen.data.source import check_dataset
from gen.errors import InputError
from gen.extractors.classifier import accuracy, train_classifier
from tests.training.tiny import DIGITS, UNPAIRED


def prepared(at: Path, /, **section: Any) -> Dataset:
    fetch("mine", section, "datasets.mine", at / "raw", mirror=None, downloads=at / "downloads")
    return prepare("mine", section, "datasets.mine", at / "raw", at / "prepared")


def test_each_row_of_two_classes_stands_in_its_domain(datasets: dict[str, Dataset]) -> None:
    digits, unpaired = datasets["digits"], datasets["digits_unpaired"]
    assert unpaired.classes == ("3", "8")
    for split in ("train", "validation", "test"):
        whole = digits.read(split)
        for domain, number, label in ((f"{split}.input", 3, 0), (split, 8, 1)):
            rows = unpaired.read(domain)
            assert np.array_equal(rows.images, whole.images[whole.labels == number])
            assert set(rows.labels.tolist()) == {label}
            assert rows.ids == [name for name, own in zip(whole.ids, whole.labels, strict=True) if own == number]


def test_an_attribute_and_its_absence() -> None:
    smiling, labels = np.array([True, False, True]), np.array([0, 1, 2])
    domains = Domains(input="not Smiling", target="Smiling")
    found = [domains.rows(name, labels, {"Smiling": smiling}, ()).tolist() for name in domains.names]
    assert found == [[False, True, False], [True, False, True]]
    assert domains.rows("not b", labels, {}, ("a", "b", "c")).tolist() == [True, False, True]


def test_streams_stand_beside_a_batch_in_an_order_of_their_own(datasets: dict[str, Dataset]) -> None:
    unpaired = datasets["digits_unpaired"]
    for resident in (True, False):
        loader = Loader(unpaired, "train", batch_size=8, seed=0, resident=resident, streams={"input": "input"})
        batch = loader[3]
        assert set(batch.labels.tolist()) == {1}
        assert set(batch.others["input"].labels.tolist()) == {0}
        parts = [
            Loader(unpaired, "train", batch_size=8, seed=0, rank=rank, world_size=2, streams={"input": "input"})[3]
            for rank in (0, 1)
        ]
        for rank, part in enumerate(parts):
            assert np.array_equal(part.others["input"].images, batch.others["input"].images[rank::2])


def test_the_classifier_is_of_both_domains(datasets: dict[str, Dataset]) -> None:
    unpaired = datasets["digits_unpaired"]
    assert accuracy(train_classifier(unpaired, None, steps=60), unpaired, None) > 0.9


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "3", "target": "3"}, "d.domains: input and target: both are '3'; give two domains"),
        ({"input": "3", "target": "Smiling"}, "d.domains.target: 'Smiling' is no class and no attribute of the data "),
        ({"input": "3"}, "d.domains.target: "),
    ],
)
def test_what_is_no_domain_is_one_line(section: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_dataset({**UNPAIRED, "domains": section}, "d")
    assert str(error.value).startswith(message)


def test_pairs_have_no_domains(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^d: input makes pairs, domains have none; leave one of them out$"):
        check_dataset({**DIGITS, "domains": {"input": "3", "target": "8"}}, "d")
    own = {"source": "domains", "folder": "x", "resolution": 8, "domains": {"input": "a", "target": "b"}}
    with pytest.raises(InputError, match=r"^d\.domains: domains has them already; leave it out$"):
        check_dataset(own, "d")


def test_a_domain_without_a_row_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    filled(tmp_path / "dogs" / "dog" / "x.png", 5)
    for name in ("cat", "dog"):
        for number in range(3 if name == "dog" else 1):
            filled(tmp_path / "own" / name / f"{number}.png", 5 + number)
    images = {"source": "images", "folder": "own", "resolution": 8, "channels": 1, "validation": 0.0, "test": 0.0}
    with pytest.raises(InputError, match=r"domains: no image to train on is 'not dog'; choose another domain$"):
        prepared(tmp_path / "dogs", **{**images, "folder": "dogs"}, domains={"input": "dog", "target": "not dog"})
    with pytest.raises(InputError, match=r"domains\.target: 'dogs' is no class .*; did you mean dog\?$"):
        prepared(tmp_path, **images, domains={"input": "cat", "target": "dogs"})
    assert not (tmp_path / "prepared").exists()


def filled(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), grey, np.uint8)).save(path)


def values_of(dataset: Dataset) -> dict[str, list[int]]:
    """The grey that fills each picture, by split."""
    return {split: sorted(dataset.read(split).images[:, 0, 0, 0].tolist()) for split in dataset.rows}


def test_folders_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for at, folder in enumerate(("trainA", "trainB", "valA", "valB", "testA", "testB")):
        for number in range(2):
            filled(tmp_path / "own" / folder / f"{number}.png", 10 * at + number)
    own = {"source": "domains", "folder": "own", "resolution": 8, "channels": 1}
    assert values_of(prepared(tmp_path, **own)) == {
        "train": [10, 11], "validation": [30, 31], "test": [50, 51],
        "train.input": [0, 1], "validation.input": [20, 21], "test.input": [40, 41],
    }  # fmt: skip
    turned = values_of(prepared(tmp_path, **own, direction="b_to_a"))
    assert (turned["train"], turned["train.input"]) == ([0, 1], [10, 11])
    filled(tmp_path / "own" / "trainC" / "x.png", 0)
    with pytest.raises(InputError, match=r"^own: 'trainC/x\.png' is in none of trainA, trainB, "):
        prepared(tmp_path, **own)


def test_two_folders_of_unequal_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        filled(tmp_path / "a" / f"{number}.png", number)
        filled(tmp_path / "b" / "train" / f"{number}.png", 100 + number)
        filled(tmp_path / "b" / "test" / f"{number}.png", 200 + number)
    mine = {"source": "domains", "inputs": "a", "targets": "b", "resolution": 8, "channels": 1}
    found = values_of(prepared(tmp_path, **mine, validation=0.2, test=0.1))
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 8, "validation": 2, "test": 10, "train.input": 7, "validation.input": 2, "test.input": 1,
    }  # fmt: skip
    assert found["test"] == [200 + number for number in range(10)]
    with pytest.raises(InputError, match="no input picture is left to train on; "):
        prepared(tmp_path, **mine, validation=0.5, test=0.49)


def test_pictures_of_any_kind_lie_over_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("trainA", "trainB", "testA", "testB"):
        filled(tmp_path / "own" / folder / "grey.png", 7)
        Image.new("RGB", (20, 12), (7, 7, 7)).save(tmp_path / "own" / folder / "wide.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "own" / "trainA" / "clear.png")
    own = {"source": "domains", "folder": "own", "resolution": 8, "validation": 0.0}
    with pytest.raises(
        InputError, match=r"trainA/clear\.png: not opaque, .*; give the data set's section a background "
    ):
        prepared(tmp_path, **own)
    found = prepared(tmp_path, **own, background=[7, 7, 7])
    assert values_of(found) == {"train": [7, 7], "test": [7, 7], "train.input": [7, 7, 7], "test.input": [7, 7]}
    with pytest.raises(InputError, match=r"^d: inputs and targets: both are own; give two folders"):
        check_dataset({"source": "domains", "inputs": "own", "targets": "own", "resolution": 8}, "d")
