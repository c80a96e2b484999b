"""Fetching published files: interrupted, damaged, from mirrors, from servers that misbehave."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gen.data.download import download, read_text
from gen.data.fetch import DOWNLOADS, fetch, fetch_file
from gen.data.source import Published
from gen.errors import InputError
from tests.data.publisher import CONTENT, MD5, SHA256, Server


@pytest.fixture
def server(workplace: Path) -> Iterator[Server]:
    folder = workplace / "published"
    (folder / "mnist").mkdir(parents=True)
    (folder / "mnist" / "a.gz").write_bytes(CONTENT)
    (folder / "SHA256SUMS").write_text(f"{SHA256}  mnist/a.gz\n")
    with Server(folder) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


SECTION = {"source": "mnist", "validation": 10000}


OUT = Path("data/raw/toy")


PART = DOWNLOADS / "mnist" / "a.gz.part"


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the source's publisher offers."""

    def set_files(*files: Published) -> None:
        monkeypatch.setattr("gen.data.sources.mnist.files", lambda config: files)

    set_files(Published("a.gz", None, None, "ask its authors"))
    return set_files


def run(mirror: str | None = None) -> dict[str, Any]:
    """Fetch the one file there is; returns its provenance."""
    fetch("toy", SECTION, "datasets.toy", OUT, mirror=mirror)
    assert sorted(path.name for path in OUT.iterdir()) == ["PROVENANCE.json", "a.gz"]
    assert (OUT / "a.gz").read_bytes() == CONTENT
    entry: dict[str, Any]
    (entry,) = json.loads((OUT / "PROVENANCE.json").read_text())["files"]
    assert (entry["file"], entry["bytes"], entry["sha256"]) == ("a.gz", len(CONTENT), SHA256)
    return entry


def fails(match: str, mirror: str | None = None) -> None:
    """Fetching raises one line and leaves nothing behind."""
    with pytest.raises(InputError, match=match) as caught:
        fetch("toy", SECTION, "datasets.toy", OUT, mirror=mirror)
    assert "\n" not in str(caught.value)
    assert not OUT.parent.exists() or list(OUT.parent.iterdir()) == []


def test_published(server: Server, publish: Any) -> None:
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    assert run()["verified"] == "the published md5"
    assert run()["from"] == f"{server.url}/mnist/a.gz"
    assert not PART.exists()


def test_an_interrupted_download_goes_on(server: Server, publish: Any) -> None:
    """Whole runs that die, and connections that end early, both continue by a range request."""
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    PART.parent.mkdir(parents=True)
    PART.write_bytes(CONTENT[:1000])
    server.cut = len(CONTENT) // 3
    run()
    third = len(CONTENT) // 3
    assert [asked for _, asked in server.asked] == [f"bytes={1000 + i * third}-" for i in range(3)]


def test_a_complete_partial_is_not_fetched_again(server: Server, publish: Any) -> None:
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    PART.parent.mkdir(parents=True)
    PART.write_bytes(CONTENT)
    run()
    assert server.asked == [("/mnist/a.gz", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize("left", [CONTENT[:1000], CONTENT + b"more"])
def test_a_server_without_ranges(server: Server, publish: Any, left: bytes) -> None:
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    PART.parent.mkdir(parents=True)
    PART.write_bytes(left)
    server.ranges = False
    run()


def test_a_server_that_always_breaks_off(server: Server, publish: Any) -> None:
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    server.cut = 0
    fails(r"a.gz: not to be had \(.*\); check the network")
    PART.write_bytes(CONTENT[:77])
    fails(r"a.gz: not to be had \(.*\); 77 bytes are kept in .*a.gz.part, and the next run goes on")
    assert PART.read_bytes() == CONTENT[:77]


@pytest.mark.parametrize("damage", [b"", b"wrong", CONTENT[:1000] + b"x"])
def test_wrong_checksum(server: Server, publish: Any, damage: bytes) -> None:
    """The partial is deleted, so that the next run begins anew."""
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", "md5:" + "0" * 32))
    PART.parent.mkdir(parents=True)
    PART.write_bytes(damage)
    fails(r"a.gz: md5 is \w{32}, not 0{32} as the published md5 says; what was fetched is deleted")
    assert not PART.exists()


def test_not_published_there(server: Server, publish: Any) -> None:
    publish(Published("a.gz", f"{server.url}/mnist/b.gz", MD5))
    fails(r"/mnist/b.gz: 404 Not Found; check the address")
    assert not PART.exists(), "nothing is left of what never came"
    server.status = 503
    fails(r"/mnist/b.gz: not to be had \(503 Service Unavailable\); check the network")


def test_no_server(server: Server, publish: Any) -> None:
    server.shutdown()
    server.server_close()
    publish(Published("a.gz", f"{server.url}/mnist/a.gz", MD5))
    remedy = (
        "without a network place it at .cache/downloads/mnist/a.gz, or in a mirror that GEN_MIRROR names as mnist/a.gz"
    )
    fails(rf"a.gz: not to be had \(.*refused.*\); check the network; {remedy}$")
    fails("SHA256SUMS: not reachable", server.url)


def test_a_server_that_never_answers_is_named_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gen.data.download.TIMEOUT", (0.2, 0.2))
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(InputError, match=r"images\.gz: not to be had \(.*timed out.*\); check the network"):
            download(f"http://me:secret@{address}/images.gz", tmp_path / "images.part")
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("; ")[2] for line in lines] == [f"trying again ({n} of 5)" for n in range(2, 6)]
    assert all(address in line for line in lines)
    assert "secret" not in "".join(lines)


def test_what_drips_is_given_up_when_it_is_small_and_shown_when_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gen.data.download.MOST_SECONDS", 1.0)
    monkeypatch.setattr("gen.data.progress.SECONDS_BETWEEN_LINES", 0.3)
    enough = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                while not enough.wait(0.1):
                    self.wfile.write(b"0")

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/images"
        with pytest.raises(InputError, match="not whole within 1 s; see whether it can be reached"):
            read_text(url)
        threading.Timer(3, enough.set).start()
        threading.Timer(2, server.shutdown).start()  # nobody answers the attempts that follow
        monkeypatch.setattr("gen.data.download.TIMEOUT", (0.2, 0.2))
        with pytest.raises(InputError, match="bytes are kept in"):
            download(url, tmp_path / "images.part")
    assert re.search(r"fetch images: \d+ of 1,000,000 B", capsys.readouterr().err)


def test_no_direct_download(server: Server, publish: Any) -> None:
    fails(r"mnist/a.gz: no direct download; ask its authors; place it at .cache/downloads/mnist/a.gz and run again")
    PART.with_suffix("").parent.mkdir(parents=True)
    PART.with_suffix("").write_bytes(CONTENT)
    assert run() | {"from": ".cache/downloads/mnist/a.gz", "verified": "nothing: none is published"} == run()


@pytest.mark.parametrize("kind", ["folder", "url"])
def test_mirror(server: Server, publish: Any, kind: str) -> None:
    place = "published" if kind == "folder" else server.url
    entry = run(place)
    assert entry["verified"] == "the mirror's SHA256SUMS"
    assert entry["from"] == f"{place}/mnist/a.gz"
    Path("published/SHA256SUMS").write_text(f"{'0' * 64}  mnist/a.gz\n")
    (OUT / "a.gz").unlink()
    (OUT / "PROVENANCE.json").unlink()
    OUT.rmdir()
    fails(r"a.gz: sha256 is \w{64}, not 0{64} as the mirror's SHA256SUMS says", place)
    assert Path("published/mnist/a.gz").read_bytes() == CONTENT
    Path("published/SHA256SUMS").write_text(f"{SHA256}  mnist/b.gz\n")
    fails("its SHA256SUMS does not list mnist/a.gz; add the file", place)
    Path("published/SHA256SUMS").write_text(f"{SHA256} *mnist/a.gz\nnonsense\n")
    fails(r"SHA256SUMS: line 2 is not '<sha256>  <path>'; write it with sha256sum", place)
    Path("published/SHA256SUMS").unlink()
    fails("SHA256SUMS", place)


def test_a_mirror_that_lacks_what_it_lists(server: Server, publish: Any) -> None:
    Path("published/mnist/a.gz").unlink()
    fails("published/mnist/a.gz: missing, though the mirror's SHA256SUMS lists it", "published")
    fails("404 Not Found", server.url)


def test_the_same_content_under_another_name(server: Server, publish: Any) -> None:
    publish(Published("a.zip", None, None, "ask", instead_of=("a.gz",)))
    assert run("published")["file"] == "a.gz"


def test_a_failed_fetch_keeps_what_was_there(server: Server, publish: Any) -> None:
    run("published")
    Path("published/mnist/a.gz").write_bytes(b"")
    with pytest.raises(InputError):
        fetch("toy", SECTION, "datasets.toy", OUT, mirror="published")
    assert (OUT / "a.gz").read_bytes() == CONTENT
    assert [path.name for path in OUT.parent.iterdir()] == ["toy"]


def test_a_single_file_is_downloaded_once(server: Server) -> None:
    published = Published("a.gz", f"{server.url}/mnist/a.gz", f"sha256:{SHA256}")
    kept = DOWNLOADS / "mnist" / "a.gz"
    for place in ("one", "two", "three"):
        Path(place).mkdir()
        mirror = server.url if place == "two" else None
        assert fetch_file("mnist", published, Path(place), mirror=mirror).read_bytes() == CONTENT
        assert kept.read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/mnist/a.gz"]
    kept.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"a.gz: sha256 is .*, not .* as the published sha256 says"):
        fetch_file("mnist", published, Path("one"), mirror=None)
    fetch_file("mnist", published, Path("one"), mirror=server.url)
    assert kept.read_bytes() == CONTENT, "a damaged one is replaced"


def test_a_single_file_whose_checksum_only_a_mirror_has_is_not_kept(server: Server) -> None:
    other = Published("a.gz", f"{server.url}/mnist/a.gz", "sha256:" + "0" * 64)
    Path("one").mkdir()
    fetch_file("mnist", other, Path("one"), mirror=server.url)
    assert not (DOWNLOADS / "mnist" / "a.gz").exists()


def test_a_source_without_files(workplace: Path) -> None:
    section = {"source": "digits", "resolution": None, "validation": 0, "test": 0}
    assert fetch("digits", section, "datasets.digits", OUT, mirror="no such mirror is needed") == []
    assert json.loads((OUT / "PROVENANCE.json").read_text()) == {"files": []}


def test_the_real_mirror(workplace: Path, mirror: Path) -> None:
    entries = fetch("mnist", SECTION, "datasets.mnist", OUT, mirror=str(mirror))
    assert len(entries) == 4
    assert {entry["verified"] for entry in entries} == {"the mirror's SHA256SUMS"}
