"""The page of `gen explore`, served by the command itself: over HTTP, and in a real browser."""

import io
import json
import os
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
from PIL import Image

from gen.data.dataset import Dataset
from tests.pipelines.exploring import checkout_of_digits, pixels
from tests.tab import tab

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def port(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of the served VAE."""
    checkout = checkout_of_digits(tmp_path_factory.mktemp("checkout"), datasets["digits"])
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
        ("/picture", {"z": [[0, 0, 0]], "moves": {"smile": 1}}, "moves: no attribute 'smile'; known: bright, 0, 1"),
        ("/picture", {"z": [[0, 0, 0]], "condition": 2}, "condition: 2; this model takes none: leave it out"),
        ("/path", {"a": [0, 0, 0], "b": [1, 0, 0]}, "a latent vector of length 0 has no direction"),
        ("/path", {"a": [-1, 0, 0], "b": [1, 0, 0]}, "opposite latent vectors have no great circle between them"),
        ("/surface", {"at": [[0, 0]]}, "corners: missing; a latent vector of 3 dimensions is no plane"),
        ("/surface", {"at": [[0, 2]]}, "POST /surface.at.0.1: input should be less than or equal to 1; got 2"),
        ("/encode?condition=x", b"", "POST /encode.condition: input should be a valid integer"),
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
        page.run(
            "blank = one => Object.assign(document.createElement('canvas'), {width: one.width, height: one.height});"
            "drawn = one => one.toDataURL() !== blank(one).toDataURL(); 0"
        )
        page.until("[...document.querySelectorAll('#samples canvas, #picture, #plane canvas')].every(drawn)")

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
        page.until("[...document.querySelectorAll('#path canvas, #chosen canvas')].every(drawn)")
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
        page.until("state.z && document.getElementById('which').textContent")
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(24, 26, 27)"
        time.sleep(0.2)
        assert page.wrong == []
