"""`gen sample`, `gen interpolate` and `gen families`, of small models that nobody has trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import gen
from gen import export
from gen.errors import InputError
from gen.families import family_names, load_family
from gen.family import DataSpec
from pipelines.cli import cli
from tests.families.small import IMAGES, small


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with three models below models/tiny."""
    monkeypatch.chdir(tmp_path)
    data = DataSpec(IMAGES, classes=8)
    for family in ("autoencoder", "cgan", "gan"):
        torch.manual_seed(0)
        settings = small(family, IMAGES)[0]
        export.save(
            tmp_path / "models" / "tiny" / f"tiny_{family}",
            load_family(family, settings, data).train(False),
            family,
            settings,
            data,
            dataset={"name": "digits", "digest": "0", "classes": list("abcdefgh")},
        )
    return tmp_path


def run(*words: str) -> str:
    """What a command says; not what the Ray of an earlier test says of its workers meanwhile."""
    output = CliRunner().invoke(cli, words, catch_exceptions=False).output
    return "".join(line for line in output.splitlines(keepends=True) if "(raylet)" not in line)


def refused(*words: str) -> str:
    with pytest.raises(InputError) as raised:
        CliRunner().invoke(cli, words, catch_exceptions=False)
    return str(raised.value)


def test_samples_are_those_of_python(checkout: Path) -> None:
    assert (
        run("sample", "tiny_gan", "--rows", "10", "--seed", "3", "--out", "ten.npz")
        == "ten.npz: 10 images of 1x16x16\n"
    )
    expected = gen.load(checkout / "models" / "tiny" / "tiny_gan").sample(10, seed=3)
    assert np.array_equal(np.load("ten.npz")["images"], expected.numpy())
    assert run("sample", "models/tiny/tiny_gan") == "samples.png: 64 images of 1x16x16\n"
    with Image.open("samples.png") as picture:
        assert picture.size == (2 * (8 * 17 - 1),) * 2


def test_a_class_is_asked_for_by_number_or_name(checkout: Path) -> None:
    for label in ("2", "c"):
        run("sample", "tiny_cgan", "--label", label, "--out", f"{label}.npz")
    assert np.array_equal(np.load("2.npz")["images"], np.load("c.npz")["images"])
    assert refused("sample", "tiny_cgan", "--label", "9").startswith("label: 9; the classes are 0 to 7")
    assert refused("sample", "tiny_gan", "--label", "1").startswith("label: gan cannot be asked for a class")


def test_paths_have_the_same_ends_straight_and_around(checkout: Path) -> None:
    said = run("interpolate", "tiny_gan", "--pairs", "2", "--steps", "4", "--out", "paths.npz")
    assert said.startswith("paths.npz: 20 images of 1x16x16; each pair of rows is one path")
    assert "lengths of the middles" in said
    rows = np.load("paths.npz")["images"].reshape(2, 2, 5, -1)
    assert np.allclose(rows[:, 0, [0, -1]], rows[:, 1, [0, -1]], atol=1e-6)
    assert not np.allclose(rows[:, 0, 2], rows[:, 1, 2], atol=1e-6)


def test_films_go_round_or_walk_on(checkout: Path) -> None:
    said = run("interpolate", "tiny_gan", "--pairs", "1", "--steps", "4", "--out", "round.gif")
    assert said == "round.gif: a film of 8 frames\n"
    with Image.open("round.gif") as film:
        assert film.n_frames == 8  # type: ignore[attr-defined]
    assert run("interpolate", "tiny_gan", "--walk", "--steps", "2", "--out", "walk.mp4").startswith("walk.mp4: a film")
    assert run("interpolate", "tiny_gan", "--walk", "--pairs", "1", "--out", "walk.npz").startswith(
        "walk.npz: 16 images"
    )
    z = torch.from_numpy(np.load("walk.npz")["z"])
    steps = (z[1:] - z[:-1]).norm(dim=1)
    assert float(steps.max()) < float(torch.cdist(z, z).max()), "a walk is of small steps"


def test_latent_vectors_of_a_file_are_decoded(checkout: Path) -> None:
    run("interpolate", "tiny_gan", "--walk", "--pairs", "1", "--out", "walk.npz")
    assert (
        run("sample", "tiny_gan", "--latents", "walk.npz", "--out", "again.npz") == "again.npz: 16 images of 1x16x16\n"
    )
    assert np.allclose(np.load("again.npz")["images"], np.load("walk.npz")["images"], atol=1e-6)
    np.savez("long.npz", z=np.zeros((3, 5)))
    np.savez("none.npz", images=np.zeros((3, 5)))
    np.savez("nan.npz", z=np.full((3, 4), np.nan))
    Path("text.npz").write_text("no numbers", encoding="utf-8")
    for name, message in (
        ("long.npz", "long.npz: z of 3x5, gan has latent vectors of 4 finite numbers: n x 4"),
        ("nan.npz", "nan.npz: z of 3x4, gan has latent vectors of 4 finite numbers"),
        ("none.npz", "none.npz: has no array z, the latent vectors; gen project writes such files"),
        ("text.npz", "text.npz: not an .npz file of numbers"),
        ("gone.npz", "gone.npz: No such file or directory"),
    ):
        assert refused("sample", "tiny_gan", "--latents", name).startswith(message)


def test_a_damaged_model_is_one_line(checkout: Path) -> None:
    folder = checkout / "models" / "tiny" / "tiny_gan"
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    for command in ("sample", "interpolate", "analogy", "mine", "attributes", "project", "info"):
        assert refused(command, "tiny_gan").startswith("models/tiny/tiny_gan/weights.safetensors: "), command
    (folder / "model.json").write_text("{", encoding="utf-8")
    for command in ("sample", "interpolate", "analogy", "mine", "attributes", "project", "info"):
        assert refused(command, "tiny_gan").startswith("models/tiny/tiny_gan/model.json: not JSON"), command


def test_what_cannot_be_drawn_is_one_line(checkout: Path) -> None:
    assert refused("sample", "tiny_gam").startswith(
        "tiny_gam: no folder of a model, and no run in models; did you mean tiny_gan"
    )
    assert refused("sample", "nowhere/at_all").startswith("nowhere/at_all/model.json: no such file")
    assert refused("sample", "tiny_autoencoder").startswith("autoencoder does not sample")
    assert refused("interpolate", "tiny_cgan") == (
        "tiny_cgan: cgan decodes latent vectors with a condition: gen explore tiny_cgan takes both"
    )
    assert refused("interpolate", "tiny_autoencoder").startswith(
        "tiny_autoencoder: autoencoder has no prior to draw latent vectors from; gen analogy, gen mine"
    )
    assert (
        refused("sample", "tiny_gan", "--out", "samples.jpg")
        == "--out: samples.jpg; use a name that ends in .png, .gif, .mp4 or .npz"
    )
    assert refused("sample", "tiny_gan", "--out", "no/folder.png").startswith(
        "no/folder.png: cannot be written (no folder no); make it first"
    )
    assert refused("sample", "tiny_gan", "--rows", "0").startswith("rows: 0; use a whole number of at least 1")


def test_families_are_listed_with_what_they_can_do() -> None:
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run("families").splitlines()]
    able = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert list(able) == family_names()
    assert all(one["paper"] for one in able.values())
    assert (able["vae"]["encoder"], able["vae"]["p(x)"], able["vae"]["condition"]) == ("yes", "bound", "")
    assert (able["cgan"]["condition"], able["autoencoder"]["samples"], able["pixel_rnn"]["completes"]) == (
        "yes",
        "",
        "yes",
    )
