"""Copies of what other machines have: which are removed to make room, and which are not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.errors import InputError
from pipelines.runtime import travel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With copies of 100 bytes, the oldest first: a, b and c, on a disk that has room for 350."""
    monkeypatch.setattr(travel, "CACHE", tmp_path)
    monkeypatch.setattr(travel, "_used", {})
    monkeypatch.setattr(travel, "free", lambda: 350 - sum(path.stat().st_size for path in tmp_path.glob("*/data/*")))
    for age, name in enumerate("abc"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "shard").write_bytes(bytes(100))
        travel.use(tmp_path / name)
        travel._used.pop(tmp_path / name).close()
        os.utime(tmp_path / name / travel.USED, (age, age))
    yield tmp_path
    for held in travel._used.values():
        held.close()


def left(cache: Path) -> str:
    return "".join(sorted(path.parent.name for path in cache.glob("*/data")))


def test_the_longest_unused_copies_make_room(cache: Path) -> None:
    travel.make_room(50)
    assert left(cache) == "abc"
    travel.make_room(200)
    assert left(cache) == "c"


def test_a_copy_in_use_stays_and_too_little_room_is_said(cache: Path) -> None:
    travel.use(cache / "a")
    travel.make_room(100)
    assert left(cache) == "ac"
    with pytest.raises(InputError, match=r"no room for a copy of 0\.0 GB of data; make room"):
        travel.make_room(300)
    assert left(cache) == "a"


def test_a_folder_is_listed_with_all_below_it(cache: Path) -> None:
    assert [file.name for file in travel.listed(str(cache / "a")) or []] == ["data/shard", "used"]
    assert travel.listed(str(cache / "none")) is None
    assert travel.part_of(str(cache / "a" / "data" / "shard"), 60) == bytes(40)
