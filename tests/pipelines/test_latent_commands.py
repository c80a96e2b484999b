"""`gen analogy`, `gen mine`, `gen attributes`, `gen project`, `gen info`, on digits and models that nobody trained."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import gen
from gen import export
from gen.errors import InputError
from gen.evaluation.real_images import first_rows
from gen.families import load_family
from gen.family import DataSpec, Noise
from gen.latent.analogy import analogy
from gen.latent.attributes import attribute_vector, balanced_vector, synthetic_vector
from gen.latent.labels import attributes
from gen.latent.sharpness import blurred
from gen.model import Model
from pipelines.cli import cli
from pipelines.models_cli import COMMANDS
from tests.families.small import IMAGES, POINTS, small
from tests.pipelines.test_sample import run as run_in_process
from tests.training.tiny import prepared

FAMILIES = ("ali", "autoencoder", "dcgan", "pixel_cnn", "vae")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with digits and a model of each of some families."""
    folder = tmp_path_factory.mktemp("latent")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        digits = prepared(folder)
        (folder / "data").mkdir()
        digits.folder.parent.rename(folder / "data" / "prepared")
    for family in FAMILIES:
        save(folder, family, digits.digest)
    shutil.copytree(folder / "models" / "tiny" / "vae", folder / "models" / "tiny" / "other")
    described = folder / "models" / "tiny" / "other" / "model.json"
    described.write_text(described.read_text().replace(digits.digest, "0" * 64))
    torch.manual_seed(0)
    export.save(
        folder / "models" / "tiny" / "ring",
        load_family("gan", small("gan", POINTS)[0], DataSpec(POINTS)).train(False),
        "gan",
        small("gan", POINTS)[0],
        DataSpec(POINTS),
    )
    return folder


def save(folder: Path, family: str, digest: str) -> None:
    data, settings = DataSpec(IMAGES, classes=10), small(family, IMAGES)[0]
    torch.manual_seed(0)
    export.save(
        folder / "models" / "tiny" / family,
        load_family(family, settings, data).train(False),
        family,
        settings,
        data,
        dataset={"name": "digits", "digest": digest, "classes": list("0123456789")},
        run=family,
        step=7,
    )


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Runs a command in the checkout; what it writes is in a folder of the test."""
    monkeypatch.chdir(place)
    return lambda name: tmp_path / name


def run(*words: object) -> str:
    return run_in_process(*map(str, words))


def refused(*words: object) -> str:
    with pytest.raises(InputError) as raised:
        CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def encodings(split: str, rows: int, family: str = "vae") -> tuple[torch.Tensor, Model]:
    model = gen.load(f"models/tiny/{family}")
    images = first_rows(gen.open_dataset("data/prepared/digits"), split, rows, None).images
    with torch.no_grad():
        return model.family.encode(images), model  # type: ignore[attr-defined]


def picture(path: Path, side: int = 16) -> Path:
    Image.fromarray(np.linspace(0, 255, side * side).reshape(side, side).astype(np.uint8)).save(path)
    return path


def test_an_analogy_is_of_the_first_validation_images(here: Callable[..., Path]) -> None:
    out = here("j.npz")
    said = run("analogy", "vae", "--rows", 3, "--columns", 4, "--out", out)
    assert said.splitlines()[0] == f"{out}: 18 images of 1x16x16"
    assert said.splitlines()[1].startswith("A, B, C: the first three validation images; mean squared error of a pixel")
    z, model = encodings("validation", 3)
    assert np.allclose(np.load(out)["z"], z.numpy(), atol=1e-6)
    sheet = np.load(out)["images"].reshape(3, 6, 1, 16, 16)
    images = first_rows(gen.open_dataset("data/prepared/digits"), "validation", 3, None).images.numpy()
    assert np.array_equal(sheet[[0, 0, 2], [0, 5, 0]], images)
    with torch.no_grad():
        last = model.family.decode(analogy(*z)[None])[0]  # type: ignore[attr-defined]
    assert np.allclose(sheet[2, 4], last.numpy(), atol=1e-5)
    assert np.array_equal(sheet[1, 0], np.ones((1, 16, 16)))


def test_an_analogy_of_ones_own_pictures_and_of_latent_vectors(here: Callable[..., Path]) -> None:
    pictures = [picture(here(f"{name}.png")) for name in "abc"]
    assert "A, B, C: your pictures; mean" in run("analogy", "ali", *pictures, "--out", here("own.png"))
    assert "A, B, C: your pictures; mean" in run("analogy", "dcgan", *pictures, "--project", "--out", here("own.gif"))
    assert "A, B, C: draws of the prior by seed 4" in run("analogy", "dcgan", "--seed", 4, "--out", here("z.npz"))
    assert run("analogy", "dcgan", "--latents", here("z.npz"), "--out", here("y.npz")).endswith(f"{here('z.npz')}\n")
    assert np.array_equal(np.load(here("y.npz"))["images"], np.load(here("z.npz"))["images"])
    large = picture(here("large.png"), 40)
    assert refused("analogy", "vae", large, *pictures[1:]) == (
        f"{large}: 40x40 pixels, the model has images of 16x16; --fit takes the centre square and resizes it"
    )
    run("analogy", "vae", large, *pictures[1:], "--fit", "--out", here("fitted.png"))
    no_picture = here("text.png")
    no_picture.write_text("no picture", encoding="utf-8")
    assert refused("analogy", "vae", no_picture, *pictures[1:]).startswith(f"{no_picture}: not a whole picture")
    assert refused("analogy", "vae", here("gone.png"), *pictures[1:]).startswith(f"{here('gone.png')}: cannot be read")
    assert refused("analogy", "vae", *pictures[1:]).startswith("2 pictures; an analogy has three")
    assert refused("analogy", "vae", "--rows", 1).startswith("--rows 1 --columns 7: a diagram has four corners")
    assert refused("analogy", "dcgan", *pictures).startswith("dcgan has no encoder; --project finds latent vectors")
    assert refused("analogy", "autoencoder", "--project").startswith("autoencoder has no latent vector whose prior")


def test_arithmetic_of_samples_by_their_numbers(here: Callable[..., Path]) -> None:
    out = here("sum.npz")
    said = run("analogy", "dcgan", "--concept", "0,1,2", "--concept", "5,6,7", "--concept", "9,3,4", "--out", out)
    assert said.startswith(f"{out}: 36 images of 1x16x16\nrows: three samples")
    samples = gen.load("models/tiny/dcgan").sample(10).numpy()
    sheet = np.load(out)["images"].reshape(3, 12, 1, 16, 16)
    assert np.allclose(sheet[:, :3], samples[[[0, 1, 2], [5, 6, 7], [9, 3, 4]]], atol=1e-5)
    mean = samples[[0, 1, 2]].mean(0) - samples[[5, 6, 7]].mean(0) + samples[[9, 3, 4]].mean(0)
    assert np.allclose(sheet[1, 10], mean, atol=1e-5), "the same in pixels, in the middle of the right sheet"
    assert refused("analogy", "dcgan", "--concept", "0,1,2").startswith(
        "--concept: given 1 times; arithmetic has three"
    )
    concepts = ("--concept", "0,1", "--concept", "1,2,3", "--concept", "1,2,3")
    assert refused("analogy", "dcgan", *concepts).startswith("'0,1': give three samples by their numbers")


def test_a_mine_grid_begins_with_a_test_image_or_a_picture(here: Callable[..., Path]) -> None:
    said = run("mine", "vae", "--start", 17, "--images", 100, "--rows", 2, "--columns", 3, "--out", here("mine.npz"))
    listed = sorted(int(word) for line in said.splitlines()[2:] for word in line.split())
    z, _ = encodings("test", 100)
    assert listed == sorted((z - z[17]).norm(dim=1).argsort()[:6].tolist())
    assert said.splitlines()[1] == "neighbours among 100 test images of digits:"
    with Image.open(place_picture("mine", "ali", here("mine.png"))) as one:
        assert one.height > one.width / 2, "two panels, one above the other"
    start = picture(here("start.png"), 20)
    words = ("--rows", 2, "--columns", 2, "--out", here("own.png"))
    assert "neighbours among 297 test images" in run("mine", "vae", "--start", start, "--fit", *words)
    assert "neighbours among 20" in run("mine", "dcgan", "--project", "--images", 20, *words)
    assert refused("mine", "dcgan").startswith("dcgan has no encoder; --project finds")
    assert refused("mine", "vae", "--start", 300).startswith("--start: 300; the 297 test images are numbered from 0")
    assert refused("mine", "vae", "--images", 10).startswith("15 neighbours among 10 encoded images")
    assert refused("mine", "vae", "--rows", 1).startswith("a grid of 1 x 5 cells has nothing between them")


def place_picture(*words: object) -> Path:
    *command, out = words
    run(*command, "--out", out)
    return Path(str(out))


def test_attributes_are_listed_and_drawn(here: Callable[..., Path]) -> None:
    listed = run("attributes", "vae")
    assert listed.splitlines()[0] == "attributes of 1,300 training images of digits:"
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["bright", *"0123456789"]
    dataset = gen.open_dataset("data/prepared/digits")
    train = first_rows(dataset, "train", 500, None)
    z, _ = encodings("train", 500)
    known = attributes(train, dataset.classes)
    out, some = here("a.npz"), ("--images", 500)
    said = run("attributes", "vae", "--name", "8", *some, "--out", out)
    assert "8 from -2 to 2; 0, the reconstruction, in the middle" in said
    assert np.allclose(np.load(out)["vectors"][0], attribute_vector(z, known["8"]).numpy(), atol=1e-5)
    said = run("attributes", "vae", "--name", "8", "--balance", "bright", *some, "--out", out)
    assert np.allclose(np.load(out)["vectors"][0], balanced_vector(z, known["8"], known["bright"]).numpy(), atol=1e-5)
    assert "8 and bright" in said
    run("attributes", "vae", "--name", "8", "--with", "bright", *some, "--out", out)
    vectors = np.load(out)["vectors"]
    assert np.allclose(vectors[1], balanced_vector(z, known["bright"], known["8"]).numpy(), atol=1e-5)
    assert len(np.load(out)["images"]) == 9 * 11
    run("attributes", "vae", "--blur", 1.5, "--name", "8", *some, "--out", out)
    with torch.no_grad():
        after = gen.load("models/tiny/vae").family.encode(blurred(train.images, 1.5))  # type: ignore[attr-defined]
    assert np.allclose(np.load(out)["vectors"][1], synthetic_vector(z, after).numpy(), atol=1e-5)
    assert "less 8, less the synthetic blur" in run(
        "attributes", "ali", "--blur", 1.5, "--name", "8", "--out", here("b.png")
    )
    run("attributes", "dcgan", "--name", "8", "--project", "--images", 60, "--steps", 1, "--out", here("p.mp4"))


def test_attributes_that_cannot_be_had_are_one_line(here: Callable[..., Path]) -> None:
    assert refused("attributes", "vae", "--name", "Smiling").startswith(
        "attribute: 'Smiling': the data set has none of that name; known: bright, 0, 1"
    )
    assert refused("attributes", "vae", "--name", "brigth").endswith("did you mean bright?")
    assert refused("attributes", "vae", "--name", "8", "--images", 3).startswith(
        "attribute: 8: none of 3 images has it"
    )
    assert refused("attributes", "vae", "--name", "8", "--balance", "7").startswith("no image with 8 and with 7")
    assert refused("attributes", "vae", "--balance", "7").startswith("--balance and --with are for an attribute")
    assert refused("attributes", "vae", "--blur", -1).startswith("sigma: -1.0; use a number of pixels")
    assert refused("attributes", "dcgan", "--name", "8").startswith("dcgan has no encoder; --project")
    assert refused("attributes", "other", "--name", "8").startswith(
        "other: trained on other data than data/prepared/digits"
    )
    assert refused("attributes", "ring").startswith(
        "ring: a model of points, of whose latent space there are no pictures"
    )
    assert refused("attributes", "vae", "--data", here("none")).startswith(f"{here('none')}/MANIFEST.json: missing")


def test_a_projection_finds_what_the_model_made(here: Callable[..., Path]) -> None:
    model = gen.load("models/tiny/dcgan")
    with torch.no_grad():
        made = model.family.decode(model.family.prior(Noise(5, rows=1)))  # type: ignore[attr-defined]
    level = ((made[0, 0] + 1) * 127.5).round().byte().numpy()
    Image.fromarray(level).save(here("made.png"))
    said = run("project", "dcgan", here("made.png"), "--out", here("z.npz"))
    assert float(said.rpartition(": ")[2]) < 1e-3
    found = np.load(here("z.npz"))
    assert found["z"].shape == (1, 4)
    assert float(found["error"][0]) == pytest.approx(
        np.square(found["images"][0] - found["images"][1]).mean(), rel=1e-3
    )
    said = run("project", "ali", "--steps", 5, "--out", here("both.png"))
    assert [line.split(",")[0] for line in said.splitlines()[1:]] == ["encoded", "projected"]
    assert refused("project", "autoencoder").startswith(
        "autoencoder: autoencoder has no prior to draw latent vectors from"
    )
    assert refused("project", "dcgan", "--steps", 0).startswith("steps: 0; use a whole number of at least 1")


def test_what_a_model_is(here: Callable[..., Path]) -> None:
    found = {line[:13].strip(): line[15:] for line in run("info", "vae").splitlines()}
    assert found["model"].startswith("Model(vae: images of 1x16x16")
    assert "Kingma & Welling 2014" in found["family"]
    assert found["can"] == "samples, latent vector, encoder, features, log p(x), bound"
    assert found["latent vector"] == "2 numbers"
    assert (found["data set"], found["step"]) == ("digits", "7")
    assert "of 297 test images deviate from the prior by 0." in found["encodings"]
    assert "gen mine vae" in found["try"]
    assert "gen mine dcgan --project" in run("info", "dcgan")
    assert "try  gen sample pixel_cnn\n" in run("info", "pixel_cnn")
    for command in ("analogy", "mine", "attributes"):
        assert refused(command, "pixel_cnn").startswith("pixel_cnn: pixel_cnn has no latent vector; see gen families")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_the_help_has_examples_that_click_accepts(command: object) -> None:
    name = str(command.name)  # type: ignore[attr-defined]
    shown = CliRunner().invoke(cli, [name, "--help"]).output
    lines = [line.strip() for line in shown.partition("examples:")[2].splitlines() if line.strip()]
    assert lines
    for line in lines:
        program, called, *words = line.split()
        assert (program, called) == ("gen", name)
        cli.get_command(None, name).make_context(name, words)  # type: ignore[union-attr,arg-type]
