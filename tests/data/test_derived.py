"""Inputs that are computed of pictures, and pairs in a person's own folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gen.data.dataset import Dataset
from gen.data.derived import Derivation, edges, luma
from gen.data.fetch import fetch
from gen.data.loader import Loader
from gen.data.prepare import prepare
from gen.data.source import check_dataset
from gen.errors import InputError
from tests.training.tiny import DIGITS


def test_luma_is_that_of_pil() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 7), np.uint8)
    expected = [np.asarray(Image.fromarray(each.transpose(1, 2, 0)).convert("L")) for each in colours]
    assert np.abs(luma(colours)[:, 0].astype(int) - np.stack(expected)).max() <= 1  # PIL rounds down
    assert luma(colours[:, :1]) is colours[:, :1] or np.array_equal(luma(colours[:, :1]), colours[:, :1])


def test_edges_are_where_black_meets_white() -> None:
    image = np.zeros((1, 1, 6, 6), np.uint8)
    image[..., 3:] = 255
    assert edges(image)[0, 0].tolist() == [[0, 0, 255, 255, 0, 0]] * 6


def test_a_small_one_is_the_mean_of_its_pixels_and_has_its_size() -> None:
    image = np.kron(np.array([[10, 200], [30, 90]], np.uint8), np.ones((4, 4), np.uint8))[None, None]
    made = Derivation(kind="small", factor=4).of(image)
    expected = Image.fromarray(np.array([[10, 200], [30, 90]], np.uint8)).resize((8, 8), Image.Resampling.BICUBIC)
    assert np.array_equal(made[0, 0], np.asarray(expected))


def test_what_is_derived_stands_beside_its_picture(datasets: dict[str, Dataset]) -> None:
    batch = Loader(datasets["digits"], "train", batch_size=5, seed=0)[0]
    assert np.allclose(batch.extras["input"], -batch.images, atol=1e-6)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": {"kind": "small"}}, "d.input: factor: give one, such as 2"),
        ({"input": {"kind": "grey", "factor": 2}}, "d.input: factor: grey has none, leave it out"),
        (
            {"input": {"kind": "small", "factor": 3}},
            "d.input.factor: 3 does not divide 16x16 pixels; give one that does",
        ),
        ({"input": {"kind": "gray"}}, "d.input.kind: "),
        ({"input": "grey"}, "d.input: expected a section with kind, factor, filter; got 'grey'"),
    ],
)
def test_what_cannot_be_derived_is_one_line(section: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_dataset({**DIGITS, **section}, "d")
    assert str(error.value).startswith(message)


def test_points_and_pairs_have_no_input_derived() -> None:
    ring = {"source": "points", "shape": "ring8", "rows": 5, "validation": 1, "test": 1, "seed": 0}
    with pytest.raises(InputError, match=r"^d\.input: is made of pictures, and these are points; leave it out$"):
        check_dataset({**ring, "input": {"kind": "grey"}}, "d")
    with pytest.raises(InputError, match=r"^d\.input: pairs has them already; leave it out$"):
        check_dataset({"source": "pairs", "folder": "x", "resolution": 8, "input": {"kind": "grey"}}, "d")


def picture(path: Path, left: int, right: int, width: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.full((8, width), left, np.uint8)
    both[:, width // 2 :] = right
    Image.fromarray(both).save(path)


def made(at: Path, /, **section: Any) -> Dataset:
    values = {"source": "pairs", "resolution": 8, "channels": 1, **section}
    fetch("mine", values, "datasets.mine", at / "raw", mirror=None, downloads=at / "downloads")
    return prepare("mine", values, "datasets.mine", at / "raw", at / "prepared")


def values_of(dataset: Dataset, split: str) -> list[tuple[int, int]]:
    """Input and image of each pair, as the grey that fills it."""
    (rows,) = dataset.stream(split)
    return sorted(zip(rows.extras["input"][:, 0, 0, 0].tolist(), rows.images[:, 0, 0, 0].tolist(), strict=True))


def test_pictures_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, split in enumerate(("train", "train", "val", "test")):
        picture(tmp_path / "own" / split / f"{number}.png", number, 100 + number)
    dataset = made(tmp_path, folder="own")
    assert [values_of(dataset, split) for split in ("train", "validation", "test")] == [
        [(0, 100), (1, 101)],
        [(2, 102)],
        [(3, 103)],
    ]
    turned = made(tmp_path, folder="own", direction="right_to_left")
    assert values_of(turned, "test") == [(103, 3)]


def test_two_folders_without_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        picture(tmp_path / "a" / f"{number}.png", number, number, width=8)
        picture(tmp_path / "b" / f"{number}.png", 100 + number, 100 + number, width=8)
    dataset = made(tmp_path, inputs="a", targets="b", validation=0.2, test=0.2)
    found = {split: values_of(dataset, split) for split in ("train", "validation", "test")}
    assert {split: len(pairs) for split, pairs in found.items()} == {"train": 6, "validation": 2, "test": 2}
    assert sorted(pair for pairs in found.values() for pair in pairs) == [(n, 100 + n) for n in range(10)]


def test_bad_pairs_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "odd" / "train" / "x.png", 0, 1, width=15)
    with pytest.raises(InputError, match=r"train/x\.png: 15x8 pixels; two pictures side by side have an even width"):
        made(tmp_path, folder="odd")
    picture(tmp_path / "a" / "x.png", 0, 0)
    picture(tmp_path / "b" / "y.png", 0, 0)
    with pytest.raises(InputError, match=r"^a: 'x\.png' is not in the other folder \(2 are in one alone\); give both"):
        made(tmp_path, inputs="a", targets="b")
    picture(tmp_path / "c" / "x.png", 0, 0, width=8)
    with pytest.raises(InputError, match=r"x\.png: 16x8 and 8x8 pixels; the pictures of a pair have one size"):
        made(tmp_path, inputs="a", targets="c")
    picture(tmp_path / "none" / "test" / "x.png", 0, 0)
    with pytest.raises(InputError, match="none of 1 pairs is left to train on; "):
        made(tmp_path, folder="none")
    with pytest.raises(InputError, match="give either folder, or inputs and targets"):
        made(tmp_path, folder="a", inputs="a")
