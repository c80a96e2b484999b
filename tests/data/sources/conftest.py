"""Small published files, and the watch that reading them leaves nothing behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.sources.published import fewer_rows


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and CIFAR-10 are a few rows long."""
    fewer_rows(monkeypatch)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; empty again when the test ends."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not [*folder.iterdir()]
