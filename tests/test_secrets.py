"""What opens an address stands in no error, tag, warning or file."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gen.data.fetch import PROVENANCE, fetch
from gen.errors import InputError
from gen.secrets import masked
from gen.training.checkpoint import Checkpoints
from pipelines.tracking import added

MNIST = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://ann:s3cret@host:80/a said", "at https://***@host:80/a said"),
        ("s3://AKIA:ab/c+d@bucket/folder", "s3://***@bucket/folder"),
        ("postgresql+psycopg2://u:p@ss@host/db", "postgresql+psycopg2://***@host/db"),
        ("https://token@host/x", "https://***@host/x"),
        ("s3://b/f?secret_key=abc&region=eu", "s3://b/f?secret_key=***&region=eu"),
        ("https://h/f?X-Amz-Signature=abc", "https://h/f?X-Amz-Signature=***"),
        ("http://host:5000/a@b and me@home.org", "http://host:5000/a@b and me@home.org"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("http://127.0.0.1:9 lacks x@y", "http://127.0.0.1:9 lacks x@y"),
    ],
)
def test_an_address_is_shown_without_what_opens_it(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A real server's address, with a password."""
    folder = tmp_path / "mirror"
    (folder / "mnist").mkdir(parents=True)
    for name in MNIST:
        (folder / "mnist" / name).write_bytes(name.encode())
    sums = [f"{hashlib.sha256(name.encode()).hexdigest()}  mnist/{name}\n" for name in MNIST]
    (folder / "SHA256SUMS").write_text("".join(sums))
    served = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://ann:s3cret@127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def test_a_mirrors_password_is_in_no_error_and_not_in_what_dvc_shares(mirror: str, tmp_path: Path) -> None:
    out = tmp_path / "raw" / "mnist"
    section = {"source": "mnist", "validation": 10}
    fetch("mnist", section, "datasets.mnist", out, mirror=mirror, downloads=tmp_path / "downloads")
    written = (out / PROVENANCE).read_text()
    assert "http://***@127.0.0.1" in written
    assert "s3cret" not in written
    with pytest.raises(InputError, match=r"http://\*\*\*@127.0.0.1") as raised:
        fetch("mnist", section, "datasets.mnist", tmp_path / "b" / "c", mirror=f"{mirror}/none", downloads=tmp_path)
    assert "s3cret" not in str(raised.value)


def test_storages_and_trackings_passwords_are_in_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"cluster.storage: foo://\*\*\*@x") as raised:
        Checkpoints("foo://ann:s3cret@x", "run", "ab" * 32)
    assert "s3cret" not in str(raised.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://ann:s3cret@x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found").mkdir()
    added.add_to_run("group", "run", "attempt", {}, Path("found"))
    message = capsys.readouterr().out
    assert "warning: MLflow at foo://***@x lacks" in message
    assert "s3cret" not in message
