import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gen.data.dataset import MANIFEST, open_dataset
from gen.data.fetch import fetch
from gen.data.folder import lock
from gen.data.prepare import prepare
from gen.data.source import Chunk, Description, check_chunk
from gen.errors import InputError
from pipelines.stages.prepare import main

DIGITS = {"source": "digits", "resolution": 16, "validation": 200, "test": 297}
RING = {"source": "points", "shape": "ring8", "rows": 250_000, "validation": 500, "test": 500, "seed": 0}
REPOSITORY = Path(__file__).parents[2]
OUT = Path("data/prepared/toy")


COMMAND = [str(Path(sys.executable).with_name("gen")), "prepare", "toy"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


def arrange(section: dict[str, Any]) -> None:
    """The raw folder and params.yaml of the data set `toy`, in the current folder."""
    fetch("toy", section, "toy", Path("data/raw/toy"), mirror=None)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    alone = {
        "datasets": {"toy": section},
        "reference": {},
        "runs": {},
        "svm": {},
        "explore": {},
        "sweeps": {},
        "compare": [],
        "critics": [],
    }
    Path("params.yaml").write_text(yaml.safe_dump(params | alone))


def hear_interrupts() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C, and children inherit that; undone here."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def stage(workplace: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the stage in the current folder, as DVC would; what it says on stderr goes to the file `said`."""
    started = []

    def start() -> subprocess.Popen[str]:
        with Path("said").open("a") as message:
            process = subprocess.Popen(
                COMMAND,
                stderr=message,
                text=True,
                env=ENVIRONMENT,
                preexec_fn=hear_interrupts,  # noqa: PLW1509
            )
            started.append(process)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(pattern: str, process: subprocess.Popen[str]) -> None:
    """Until a file of that pattern is there."""
    end = time.monotonic() + 200
    while not any(Path().glob(pattern)):
        assert process.poll() is None, Path("said").read_text()
        assert time.monotonic() < end, f"{pattern} never came"
        time.sleep(0.001)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ring(rows: int) -> dict[str, Any]:
    return RING | {"rows": rows}


def test_digits_are_those_of_the_package(workplace: Path) -> None:
    from sklearn.datasets import load_digits

    fetch("digits", DIGITS | {"resolution": None}, "digits", Path("raw"), mirror=None)
    dataset = prepare("digits", DIGITS | {"resolution": None}, "digits", Path("raw"), Path("digits"))
    assert dataset.rows == {"train": 1300, "validation": 200, "test": 297}
    published = load_digits()
    read = [dataset.read(split) for split in ("train", "validation", "test")]
    np.testing.assert_array_equal(np.concatenate([part.labels for part in read]), published.target)
    images = np.concatenate([part.images for part in read])[:, 0]
    np.testing.assert_allclose(images / 255, published.images / 16, atol=0.5 / 255)
    assert [read[1].ids[0], read[2].ids[-1]] == ["1300", "1796"]


@pytest.mark.parametrize("section", [DIGITS, ring(1000)])
def test_same_input_same_bytes(workplace: Path, section: dict[str, Any]) -> None:
    for name in ("one", "two"):
        fetch("toy", section, "toy", Path(name) / "raw", mirror=None)
        prepare("toy", section, "toy", Path(name) / "raw", Path(name) / "toy")
    assert contents(Path("one/toy")) == contents(Path("two/toy"))


def test_manifest_describes_every_file(workplace: Path) -> None:
    fetch("digits", DIGITS, "digits", Path("raw"), mirror=None)
    dataset = prepare("digits", DIGITS, "digits", Path("raw"), Path("digits"))
    listed = {shard["file"] for shards in dataset.manifest["splits"].values() for shard in shards}
    assert listed | {MANIFEST} == set(contents(Path("digits")))
    assert dataset.manifest["settings"] == DIGITS | {"filter": "bicubic"}
    assert dataset.classes == tuple("0123456789")


def test_an_error_leaves_nothing_behind(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(raw: Path, config: object) -> Iterator[Chunk]:
        yield Chunk("train", np.zeros((2, 1, 16, 16), np.uint8), np.zeros(2, np.int64), ["a", "b"])
        raise InputError("row 3 is no digit")

    monkeypatch.setattr("gen.data.sources.digits.read", read)
    fetch("digits", DIGITS, "digits", Path("raw"), mirror=None)
    with pytest.raises(InputError, match="row 3 is no digit"):
        prepare("digits", DIGITS, "digits", Path("raw"), OUT)
    assert list(OUT.parent.iterdir()) == []


def test_without_raw_files(workplace: Path) -> None:
    with pytest.raises(InputError, match=r"raw/PROVENANCE.json: missing; run dvc repro fetch@digits"):
        prepare("digits", DIGITS, "digits", Path("raw"), Path("digits"))
    assert not Path("digits").exists()


def test_raw_files_that_changed(workplace: Path) -> None:
    Path("raw").mkdir()
    entry = {"file": "a.gz", "bytes": 3, "sha256": "0" * 64, "verified": "x", "from": "y"}
    Path("raw/PROVENANCE.json").write_text(json.dumps({"files": [entry]}))
    with pytest.raises(InputError, match=r"raw/a.gz: missing; run dvc repro fetch@digits"):
        prepare("digits", DIGITS, "digits", Path("raw"), Path("digits"))
    Path("raw/a.gz").write_text("abc")
    with pytest.raises(
        InputError, match=r"raw/a.gz: changed since it was fetched .*; run dvc repro -s -f fetch@digits"
    ):
        prepare("digits", DIGITS, "digits", Path("raw"), Path("digits"))
    Path("raw/PROVENANCE.json").write_text("{}")
    with pytest.raises(InputError, match=r"PROVENANCE.json: damaged .*; run dvc repro -s -f fetch@digits"):
        prepare("digits", DIGITS, "digits", Path("raw"), Path("digits"))


@pytest.mark.parametrize("before", [pytest.param("nothing", marks=pytest.mark.slow), "an older one"])
def test_killed_at_every_step(workplace: Path, before: str) -> None:
    """Wherever it dies there is no data set that looks whole and is not; the next run ends as if nothing had been."""
    arrange(ring(500))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py"), before],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10, "hardly any step was found at which to kill"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(stage: Callable[[], subprocess.Popen[str]], number: int, status: int) -> None:
    arrange(ring(5_000_000))
    process = stage()
    wait_for("data/prepared/.toy.partial", process)
    process.send_signal(number)
    assert process.wait(100) == status
    left = [path.name for path in OUT.parent.iterdir()]
    assert left == ([".toy.partial"] if number == signal.SIGKILL else [])
    assert "Traceback" not in Path("said").read_text()
    prepare("toy", DIGITS, "toy", Path("data/raw/toy"), OUT)
    assert [path.name for path in OUT.parent.iterdir()] == ["toy"]


def test_it_ends_with_its_dvc(workplace: Path) -> None:
    """DVC leaves its stages alive when it is terminated; the next repro must not meet one at work."""
    arrange(ring(10_000_000))
    stage = {"stages": {"prepare": {"cmd": " ".join(COMMAND)}}}
    Path("dvc.yaml").write_text(json.dumps(stage))
    dvc = Path(sys.executable).with_name("dvc")
    quiet = ENVIRONMENT | {"DVC_NO_ANALYTICS": "1"}
    subprocess.run([dvc, "init", "--no-scm", "-q"], env=quiet, check=True)
    repro = subprocess.Popen([dvc, "repro", "-q"], env=quiet, text=True)
    wait_for("data/prepared/.toy.partial", repro)
    repro.kill()
    repro.wait()
    with lock(OUT):  # the stage holds it until it is gone
        assert list(OUT.parent.iterdir()) == []


def test_two_at_once(stage: Callable[[], subprocess.Popen[str]]) -> None:
    arrange(RING)
    assert [process.wait(200) for process in (stage(), stage())] == [0, 0], Path("said").read_text()
    assert len(open_dataset(OUT).read("train").labels) == RING["rows"]


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("ring8", "ring9", "params.yaml: datasets.toy.shape: input should be 'ring8'"),
        ("rows", "row", "params.yaml: datasets.toy.row: unknown; did you mean rows?"),
        ("source: points", "source: point", "params.yaml: datasets.toy.source: unknown source 'point'; did you mean"),
    ],
)
def test_bad_params(workplace: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, line: str) -> None:
    arrange(RING)
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace(right, wrong))
    with pytest.raises(InputError, match=re.escape(line)):
        main("toy", Path("params.yaml"))


def test_an_error_is_one_line(stage: Callable[[], subprocess.Popen[str]]) -> None:
    arrange(RING)
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("toy:", "tot:"))
    assert stage().wait(200) == 1
    assert Path("said").read_text() == "error: params.yaml: datasets.toy: unknown; did you mean tot?\n"


POINTS = Description((2, 1, 1), "float32", ("a", "b"), scale=1.0)


def points(**changes: Any) -> Chunk:
    usual = {"split": "train", "images": np.full((3, 2, 1, 1), 0.5, np.float32), "labels": np.array([0, 1, 1])}
    return Chunk(**{**usual, "ids": ["0", "1", "2"], **changes})


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (points(split="valid"), "moons: valid rows: no such split; known: train, validation, test"),
        (points(images=np.zeros((3, 2), np.float32)), r"float32 of shape \(2,\), described as float32 of \(2, 1, 1\)"),
        (points(images=np.zeros((3, 2, 1, 1))), "float64 of shape"),
        (points(labels=np.array([0, 1])), "3 images, 2 labels, 3 ids; one of each"),
        (points(extras={"male": np.array([True])}), "columns {.male.: ..bool., ...}, described as none"),
        (points(labels=np.array([0, 1, 2])), "labels from 0 to 2; the 2 classes are 0 to 1"),
        (points(images=np.full((3, 2, 1, 1), 2, np.float32)), "within the described scale of 1"),
        (points(images=np.full((3, 2, 1, 1), np.nan, np.float32)), "coordinates are finite"),
    ],
)
def test_a_source_that_yields_something_else_is_told(chunk: Chunk, message: str) -> None:
    check_chunk(points(), POINTS, 2, "moons")
    with pytest.raises(InputError, match=message):
        check_chunk(chunk, POINTS, 2, "moons")
