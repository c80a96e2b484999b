"""`gen explore`: its answers against the functions it is made of, and what it refuses."""

import io
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import gen
from gen import export
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.families import load_family
from gen.family import Condition, DataSpec, Noise
from gen.figures.grid import to_uint8
from gen.latent.analogy import j_diagram
from gen.latent.interpolation import slerp
from pipelines.cli import cli
from pipelines.commands.explore import ready
from pipelines.explore.explored import Explored, sheet
from tests.families.small import IMAGES, POINTS, small
from tests.pipelines.exploring import checkout_of_digits, pixels


@pytest.fixture(scope="module")
def checkout(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout_of_digits(tmp_path_factory.mktemp("checkout"), datasets["digits"])


@pytest.fixture
def inside(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def explored(family: str) -> Explored:
    return ready(gen.load(f"models/tiny/tiny_{family}"))


def test_draws_are_those_of_gen_sample(inside: Path) -> None:
    for family in ("vae", "dcgan"):
        page = explored(family)
        drawn = page.picture(page.draws("prior", 5, 4), {}, None, columns=2)
        samples = to_uint8(gen.load(f"models/tiny/tiny_{family}").sample(4, seed=5))
        assert np.array_equal(pixels(drawn), sheet(samples, 2)[..., 0])
        assert np.array_equal(pixels(drawn)[16:, :16], samples[2, ..., 0])


def test_a_single_image_is_the_one_of_many(inside: Path) -> None:
    """It is computed another way, which is faster for one."""
    page = explored("dcgan")
    z = page.draws("prior", 1, 6)
    each = np.concatenate([pixels(page.picture(one[None], {}, None, 1)) for one in z])
    assert np.abs(each.astype(int) - pixels(page.picture(z, {}, None, 1))).max() <= 1


def test_sliders_are_differences_of_the_classes_means(inside: Path, datasets: dict[str, Dataset]) -> None:
    page = explored("vae")
    assert list(page.vectors) == ["bright", *map(str, range(10))]
    rows = datasets["digits"].read("train")
    with torch.no_grad():
        z = page.family.encode(torch.from_numpy(rows.images) / 127.5 - 1)
    threes = torch.from_numpy(rows.labels) == 3
    three = z[threes].mean(dim=0) - z[~threes].mean(dim=0)
    torch.testing.assert_close(page.vectors["3"], three, rtol=1e-4, atol=1e-5)
    start = page.draws("prior", 0, 1)
    moved = page.picture(start, {"3": 1.5, "1": -0.5}, None, 1)
    expected = page.picture(start + 1.5 * three - 0.5 * page.vectors["1"], {}, None, 1)
    assert np.abs(pixels(moved).astype(int) - pixels(expected)).max() <= 1
    assert not np.array_equal(pixels(moved), pixels(page.picture(start, {}, None, 1)))


def test_paths_and_planes_are_great_circles_and_j_diagrams(inside: Path) -> None:
    page = explored("vae")
    a, b, c = page.draws("prior", 0, 3)
    path = page.path(a.tolist(), b.tolist(), 4, straight=False)
    torch.testing.assert_close(path.z, slerp(a, b, torch.linspace(0, 1, 5)))
    assert path.off is not None
    straight = page.path(a.tolist(), b.tolist(), 4, straight=True)
    torch.testing.assert_close(straight.z[2], (a + b) / 2)
    line = torch.linspace(0, 1, 5).tolist()
    found = page.surface([a.tolist(), b.tolist(), c.tolist()], [(right, down) for down in line for right in line])
    torch.testing.assert_close(found.reshape(5, 5, -1), j_diagram(a, b, c, 5, 5), rtol=1e-4, atol=1e-5)


def test_two_dimensions_are_a_plane_of_their_own(inside: Path, datasets: dict[str, Dataset]) -> None:
    settings = small("vae", IMAGES)[0]
    family = load_family("vae", settings, DataSpec(IMAGES, 10)).train(False)
    export.save(inside / "flat", family, "vae", settings, DataSpec(IMAGES, 10))
    page = ready(gen.load(inside / "flat"))
    middle, right, up = page.surface(None, [(0.5, 0.5), (1.0, 0.5), (0.5, 0.0)])
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.98))
    torch.testing.assert_close(
        torch.stack([middle, right, up]), torch.tensor([[0, 0], [normal, 0], [0, normal]]), atol=0.15, rtol=0
    )
    assert page.vectors == {}  # nothing is known of its data
    with pytest.raises(InputError, match=r"^corners: missing; a latent vector of 3 dimensions is no plane$"):
        explored("vae").surface(None, [(0.5, 0.5)])


def test_a_conditional_family_is_asked_for_a_class(inside: Path) -> None:
    page = explored("cgan")
    assert page.conditions == [str(number) for number in range(10)]
    z = page.draws("prior", 2, 3)
    with torch.no_grad():
        expected = page.family.decode_given(z, Condition(torch.full((3,), 7)))
    assert np.abs(pixels(page.picture(z, {}, 7, 1)).astype(int) - sheet(to_uint8(expected), 1)[..., 0]).max() <= 1
    for wrong in (None, 10, -1):
        with pytest.raises(InputError, match=r"^condition: (None|10|-1); give a number from 0 to 9$"):
            page.picture(z, {}, wrong, 1)
    with pytest.raises(InputError, match=r"^condition: 1; this model takes none: leave it out$"):
        explored("dcgan").picture(explored("dcgan").draws("prior", 0, 1), {}, 1, 1)


def test_without_a_prior_held_out_images_are_where_it_begins(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = explored("autoencoder")
    assert page.sources == ["images"]
    assert page.draws("images", 0, 5).shape == (5, 4)
    z = page.draws("images", 0, 2).tolist()
    assert page.path(z[0], z[1], 4, straight=False).off is None
    monkeypatch.chdir(inside / "models")
    with pytest.raises(InputError, match=r"^autoencoder has no prior to draw from, and its data set is not in data"):
        ready(gen.load("tiny/tiny_autoencoder"))


def test_own_pictures_are_cut_resized_and_encoded(inside: Path, datasets: dict[str, Dataset]) -> None:
    page = explored("vae")
    digit = datasets["digits"].read("test").images[0, 0]
    wide = np.zeros((64, 96), np.uint8)
    wide[:, 16:80] = np.kron(digit, np.ones((4, 4), np.uint8))
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    own = page.own(buffer.getvalue())
    seen = pixels(own.picture)
    assert seen.shape == (16, 16)
    assert np.abs(seen.astype(int) - digit).mean() < 8  # resizing softens edges
    with torch.no_grad():
        image = torch.from_numpy(seen.copy())[None, None] / 127.5 - 1
        torch.testing.assert_close(own.z, page.family.encode(image))
        assert own.error == pytest.approx(float((page.family.decode(own.z) - image).square().mean()), rel=1e-4)
    with pytest.raises(InputError, match=r"^your picture: not a whole picture"):
        page.own(b"not a picture")


def test_own_pictures_are_projected_without_an_encoder(inside: Path) -> None:
    for family, condition in (("dcgan", None), ("cgan", 4)):
        page = explored(family)
        hidden = page.draws("prior", 77, 1)
        own = page.own(page.picture(hidden, {}, condition, 1), condition)
        with torch.no_grad():
            image = page.decoded(hidden, condition)
            first = (page.decoded(page.typical[:256], condition) - image).square().flatten(1).mean(dim=1)
            again = float((page.decoded(own.z, condition) - image).square().mean())
        assert own.error < float(first.min()) / 2
        assert own.error == pytest.approx(again, abs=1e-3)


def refused(*words: str) -> str:
    with pytest.raises(InputError) as raised:
        CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_cannot_be_explored_is_one_line(inside: Path) -> None:
    assert refused("explore", "tiny_pixel_cnn", "--port", "0").startswith("pixel_cnn has no latent vector to explore")
    settings = small("gan", POINTS)[0]
    export.save(inside / "points", load_family("gan", settings, DataSpec(POINTS)), "gan", settings, DataSpec(POINTS))
    assert refused("explore", str(inside / "points"), "--port", "0").startswith("gan makes samples of 2x1x1: no pict")
    damaged = inside / "damaged"
    damaged.mkdir(exist_ok=True)
    (damaged / "model.json").write_text("{")
    assert refused("explore", str(damaged), "--port", "0").startswith(f"{damaged}/model.json: not JSON")
    whole = (inside / "models/tiny/tiny_vae/model.json").read_bytes()
    (damaged / "model.json").write_bytes(whole)
    (damaged / "weights.safetensors").write_bytes(b"\x08")
    assert refused("explore", str(damaged), "--port", "0").startswith(f"{damaged}/weights.safetensors: cannot be read")


def test_a_port_in_use_is_one_line(inside: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        expected = f"port {port}: Address already in use; choose another: --port {port + 1}"
        assert refused("explore", "tiny_vae", "--port", str(port)) == expected


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"smile": np.zeros(5)}, r"smile is float64 of shape \(5,\); a vector of this model has 4 finite numbers"),
        ({"smile": np.array([0, 1, np.nan, 0])}, "smile is float64 of shape .*finite"),
        ({"smile": np.array(list("abcd"))}, "smile is <U1 of shape"),
        (None, "not a whole .npz file"),
        ("missing", "cannot be read .No such file"),
    ],
)
def test_a_wrong_file_of_vectors_is_one_line(inside: Path, tmp_path: Path, arrays: Any, expected: str) -> None:
    path = tmp_path / "vectors.npz"
    if arrays is None:
        path.write_bytes(b"PK\x03\x04 damaged")
    elif arrays != "missing":
        np.savez(path, **arrays)
    with pytest.raises(InputError, match=expected):
        ready(gen.load("models/tiny/tiny_dcgan"), path)


def test_vectors_of_a_file_are_sliders_without_an_encoder(inside: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", smile=np.arange(4.0))
    page = ready(gen.load("models/tiny/tiny_dcgan"), tmp_path / "vectors.npz")
    torch.testing.assert_close(page.vectors["smile"], torch.arange(4.0))
    np.savez(tmp_path / "written.npz", images=np.zeros((3, 1, 16, 16)), vectors=np.eye(4)[:2])  # by gen attributes
    written = ready(gen.load("models/tiny/tiny_dcgan"), tmp_path / "written.npz").vectors
    assert list(written) == ["vector 1", "vector 2"]
    torch.testing.assert_close(written["vector 2"], torch.eye(4)[1])
    z = page.family.prior(Noise(0, rows=1))
    assert page.picture(z, {"smile": 2.0}, None, 1) == page.picture(z + 2 * torch.arange(4.0), {}, None, 1)
