"""`gen translate`, of a small model that nobody has trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gen
from gen import export
from gen.families import load_family
from tests.families.small import IMAGES, data_of, small
from tests.pipelines.test_sample import refused, run


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with models below models/tiny, and pictures."""
    monkeypatch.chdir(tmp_path)
    for family in ("gan", "pix2pix", "cycle_gan"):
        torch.manual_seed(0)
        settings = small(family, IMAGES)[0]
        model = load_family(family, settings, data_of(IMAGES)).train(False)
        export.save(tmp_path / "models" / "tiny" / f"tiny_{family}", model, family, settings, data_of(IMAGES))
    (tmp_path / "own").mkdir()
    for number, side in enumerate((16, 16, 40)):
        values = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(values).save(tmp_path / "own" / f"{number}.png")
    return tmp_path


def test_a_folder_becomes_a_folder(checkout: Path) -> None:
    assert run("translate", "tiny_pix2pix", "own", "--fit", "--out", "made") == "made: 3 pictures of 1x16x16\n"
    assert sorted(path.name for path in (checkout / "made").iterdir()) == ["0.png", "1.png", "2.png"]
    given = torch.from_numpy(np.asarray(Image.open("own/0.png"), np.float32))[None, None] / 127.5 - 1
    expected = gen.load("models/tiny/tiny_pix2pix").translate(given)
    with Image.open("made/0.png") as picture:
        assert picture.size == (16, 16)
        values = torch.from_numpy(np.asarray(picture, np.float32)) / 127.5 - 1
    assert float((values - expected[0, 0]).abs().max()) < 1 / 127


def test_a_file_becomes_a_sheet_or_numbers(checkout: Path) -> None:
    assert run("translate", "tiny_pix2pix", "own/0.png", "--out", "a.png") == "a.png: 1 images of 1x16x16\n"
    with Image.open("a.png") as picture:
        assert picture.size == (2 * 33, 2 * 16)
    run("translate", "tiny_pix2pix", "own/0.png", "own/1.png", "--seed", "1", "--out", "z.npz")
    with np.load("z.npz") as arrays:
        assert arrays["images"].shape == arrays["given"].shape == (2, 1, 16, 16)
    assert "gen translate tiny_pix2pix" in run("info", "tiny_pix2pix")


def test_both_ways(checkout: Path) -> None:
    given = torch.from_numpy(np.asarray(Image.open("own/0.png"), np.float32))[None, None] / 127.5 - 1
    model = gen.load("models/tiny/tiny_cycle_gan")
    for flags, back in (([], False), (["--back"], True)):
        run("translate", "tiny_cycle_gan", "own/0.png", *flags, "--out", "z.npz")
        with np.load("z.npz") as arrays:
            np.testing.assert_allclose(arrays["images"], model.translate(given, back=back).numpy(), atol=1e-6)
    assert "gen translate tiny_cycle_gan --back" in run("info", "tiny_cycle_gan")


def test_what_cannot_be_translated_is_one_line(checkout: Path) -> None:
    assert refused("translate", "tiny_pix2pix", "own/0.png", "--back") == (
        "pix2pix translates one way only; leave back out"
    )
    assert refused("translate", "tiny_gan", "own") == (
        "tiny_gan: gan translates no pictures; see gen families for those that do"
    )
    assert refused("translate", "tiny_pix2pix", "own").startswith(
        "own/2.png: 40x40 pixels, the model has images of 16x16"
    )
    assert refused("translate", "tiny_pix2pix", "none.png") == "none.png: cannot be read (No such file or directory)"
    (checkout / "empty").mkdir()
    assert refused("translate", "tiny_pix2pix", "empty").startswith("empty: holds no picture (")
    assert refused("translate", "tiny_pix2pix", "own/0.png", "own/0.png").startswith("0.png: 2 of the pictures would ")
    assert refused("translate", "tiny_pix2pix", "own/0.png", "--out", "a.txt").startswith("--out: a.txt; use a name")
