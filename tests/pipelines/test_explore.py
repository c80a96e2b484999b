"""`gen explore`: its answers against the functions it is made of, and its page in a real browser."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
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
from tests.tab import tab

CHECKOUT = Path(__file__).parents[2]
DIM = {"vae": 3, "dcgan": 4, "cgan": 4, "autoencoder": 4}


@pytest.fixture(scope="module")
def checkout(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the prepared digits and models of them that nobody has trained."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").mkdir()
    digits = datasets["digits"]
    (folder / "data" / "prepared").symlink_to(digits.folder.parent)
    for family in ("autoencoder", "cgan", "dcgan", "vae", "pixel_cnn"):
        torch.manual_seed(0)
        settings = dict(small(family, IMAGES)[0])
        settings |= {"latent_dim": DIM[family]} if family in DIM else {}
        data = DataSpec(IMAGES, classes=10)
        model = load_family(family, settings, data).train(False)
        note = {"name": "digits", "digest": digits.digest, "classes": list(digits.classes)}
        export.save(folder / "models" / "tiny" / f"tiny_{family}", model, family, settings, data, dataset=note)
    return folder


@pytest.fixture
def inside(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def explored(family: str) -> Explored:
    return ready(gen.load(f"models/tiny/tiny_{family}"))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


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
    assert list(page.vectors) == [f"class {number}" for number in range(10)]
    rows = datasets["digits"].read("train")
    with torch.no_grad():
        z = page.family.encode(torch.from_numpy(rows.images) / 127.5 - 1)
    threes = torch.from_numpy(rows.labels) == 3
    three = z[threes].mean(dim=0) - z[~threes].mean(dim=0)
    torch.testing.assert_close(page.vectors["class 3"], three, rtol=1e-4, atol=1e-5)
    start = page.draws("prior", 0, 1)
    moved = page.picture(start, {"class 3": 1.5, "class 1": -0.5}, None, 1)
    expected = page.picture(start + 1.5 * three - 0.5 * page.vectors["class 1"], {}, None, 1)
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
    z = page.family.prior(Noise(0, rows=1))
    assert page.picture(z, {"smile": 2.0}, None, 1) == page.picture(z + 2 * torch.arange(4.0), {}, None, 1)


@pytest.fixture(scope="module")
def port(checkout: Path) -> Iterator[int]:
    """Of the served VAE."""
    words = [sys.executable, "-c", "from pipelines.cli import main; main()", "explore", "tiny_vae", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    server = subprocess.Popen(words, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("tiny_vae: http://127.0.0.1:")
        yield int(line.split(" ")[1].rpartition(":")[2])
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    assert server.returncode == 143


def answer(port: int, path: str, body: Any = None, host: str = "localhost") -> tuple[int, bytes]:
    """Status and content."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        blob = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, blob, {"Host": host})
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def test_a_hundred_requests_at_once_are_served(port: int) -> None:
    z = json.loads(answer(port, "/draws?rows=100")[1])["z"]
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda one: answer(port, "/picture", {"z": [one]}), z))
    assert [status for status, _ in found] == [200] * 100
    whole = pixels(answer(port, "/picture", {"z": z})[1])
    together = np.concatenate([pixels(png) for _, png in found])
    assert np.abs(together.astype(int) - whole).max() <= 1  # each got its own
    assert len({png for _, png in found}) > 90


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/draws?rows=0", None, "GET /draws.rows: input should be greater than or equal to 1; got '0'"),
        ("/draws?rows=1000", None, "GET /draws.rows: input should be less than or equal to 256; got '1000'"),
        ("/draws?sed=3", None, "GET /draws.sed: unknown; did you mean seed?"),
        ("/draws?source=moon", None, "GET /draws.source: input should be 'prior' or 'images'; got 'moon'"),
        ("/picture", b"{", "POST /picture: not JSON"),
        ("/picture", b"[" * 100_000, "POST /picture: not JSON"),
        ("/picture", [], "POST /picture: expected a section with z, columns"),
        ("/picture", {}, "POST /picture.z: missing; A latent vector for each image."),
        ("/picture", {"z": []}, "POST /picture.z: list should have at least 1 item"),
        ("/picture", {"z": [[0.0] * 3] * 257}, "POST /picture.z: list should have at most 256 items"),
        ("/picture", {"z": [[0.0, 1.0]]}, "z: 2 numbers; a latent vector of this model has 3"),
        ("/picture", b'{"z": [[NaN, 0, 0]]}', "POST /picture.z.0.0: input should be"),
        ("/picture", {"z": [[1e300, 0, 0]]}, "POST /picture.z.0.0: input should be less than or equal to 1000000"),
        ("/picture", {"z": [[0, 0, 0]], "moves": {"smile": 1}}, "moves: no attribute 'smile'; known: class 0, class 1"),
        ("/picture", {"z": [[0, 0, 0]], "condition": 2}, "condition: 2; this model takes none: leave it out"),
        ("/path", {"a": [0, 0, 0], "b": [1, 0, 0]}, "a latent vector of length 0 has no direction"),
        ("/path", {"a": [-1, 0, 0], "b": [1, 0, 0]}, "opposite latent vectors have no great circle between them"),
        ("/surface", {"at": [[0, 0]]}, "corners: missing; a latent vector of 3 dimensions is no plane"),
        ("/surface", {"at": [[0, 2]]}, "POST /surface.at.0.1: input should be less than or equal to 1; got 2"),
        ("/encode", b"GIF89a", "your picture: not a whole picture"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(port: int, path: str, body: Any, expected: str) -> None:
    status, text = answer(port, path, body)
    assert status == 400
    assert text.decode().startswith(expected)
    assert b"\n" not in text
    assert len(text) < 500


def test_strange_hosts_paths_and_sizes_are_refused(port: int) -> None:
    assert answer(port, "/", host="evil.example") == (400, b"Invalid host header")
    assert answer(port, "/", host=f"127.0.0.1:{port}")[0] == 200
    assert answer(port, "/nowhere")[0] == 404
    assert answer(port, "/picture")[0] == 405
    status, text = answer(port, "/encode", bytes(17 << 20))
    assert (status, text) == (413, b"/encode: 17,825,792 bytes; send 16,777,216 at most")
    bomb = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(bomb, "PNG")
    status, text = answer(port, "/encode", bomb.getvalue())
    assert status == 400
    assert text.startswith(b"your picture: a decompression bomb")


def test_the_page_works_in_a_browser(port: int, tmp_path: Path) -> None:
    with tab(tmp_path) as page:
        page.size(1280, 900)
        page.go(f"http://127.0.0.1:{port}/")
        picture = "document.getElementById('picture').toDataURL()"
        blank = page.run("document.createElement('canvas').toDataURL()")
        page.until(
            f"state.z && {picture} !== {json.dumps(blank)} && document.querySelector('#plane canvas').width === 152"
        )

        def changes(script: str) -> None:
            before = page.run(picture)
            page.run(script)
            page.until(f"{picture} !== {json.dumps(before)}")

        slider = "document.querySelectorAll('.slider input')[3]"
        changes(f"{slider}.value = 2; {slider}.dispatchEvent(new Event('input'))")
        assert page.run("document.querySelectorAll('.slider output')[3].textContent") == "2"
        changes("document.getElementById('reset').click()")
        assert page.run("document.getElementById('between').hidden")
        for number in (1, 2, 3):
            changes(f"document.querySelectorAll('#samples button')[{number}].click()")
        page.until("document.querySelectorAll('#path button').length === 9")
        page.until("document.getElementById('lengths').textContent.includes('standard deviations')")
        page.until("document.getElementById('corners').textContent.includes('those that were chosen')")
        assert page.run("[...document.querySelectorAll('#samples b')].map(one => one.textContent).join('')") == "ABC"
        changes("document.querySelectorAll('#path button')[4].click()")

        page.run("document.getElementById('plane').scrollIntoView()")
        left, top, side = page.run(
            "(box => [box.left, box.top, box.width])(document.getElementById('plane').getBoundingClientRect())"
        )
        before = page.run(picture)
        page.mouse("Pressed", left + side / 4, top + side / 4)
        page.mouse("Moved", left + side / 2, top + side / 2)
        page.mouse("Released", left + side / 2, top + side / 2)
        page.until("document.getElementById('which').textContent === '0.50 to the right, 0.50 down on the plane'")
        assert page.run(picture) != before

        own = tmp_path / "own.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)).save(own)
        root = page.send("DOM.getDocument")["root"]["nodeId"]
        file = page.send("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        page.send("DOM.setFileInputFiles", files=[str(own)], nodeId=file)
        page.until("document.getElementById('which').textContent === 'reconstruction of own.png'")
        assert page.run("document.querySelector('#drop span').textContent").startswith("own.png as the model sees it")

        page.size(390, 844, scale=2, mobile=True)
        page.dark()
        page.go(f"http://127.0.0.1:{port}/")
        page.until("state.z")
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(24, 26, 27)"
        time.sleep(0.2)
        assert page.wrong == []
