"""Files of the machine that a stage runs on, for workers whose machine does not have them: copied by way of Ray.

A worker that does not see the same folder, because no disk is shared, gets a copy of it from the stage's machine, file
by file through Ray's object store, into the cache of its own machine. It is used again as long as the files are the
same ones. What the files say of each other, a manifest's sha256 above all, is checked by whoever reads them.
"""

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any, NamedTuple

import ray
from filelock import FileLock
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gen.data.dataset import MANIFEST
from gen.data.folder import lock, whole
from gen.errors import InputError
from gen.training.identity import file_digest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen" / "files"
PART = 64 * 2**20
"""Bytes that travel at once."""
SPARE = 5 * 2**30
"""Bytes of the cache's disk that stay free."""
USED = "used"
"""File beside a copy: locked while somebody uses it, and touched when it was used last."""
_used: dict[Path, IO[str]] = {}
"""Locks of the copies that this process uses: nobody removes those."""


class File(NamedTuple):
    """One of a folder that travels."""

    name: str
    """Relative to the folder."""
    bytes: int
    sha256: str
    """Empty for the shards of a data set, which its manifest vouches for."""


def listed(folder: str) -> list[File] | None:
    """The files of a folder; None when it is not there."""
    root = Path(folder)
    if not root.is_dir():
        return None
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        vouched = path.suffix == ".parquet" and (path.parent / MANIFEST).is_file()
        found.append(File(str(path.relative_to(root)), path.stat().st_size, "" if vouched else file_digest(path)))
    return found


def part_of(path: str, start: int) -> bytes:
    """So many bytes of a file as travel at once."""
    with Path(path).open("rb") as file:
        file.seek(start)
        return file.read(PART)


def here(folder: Path, node: str) -> Path:
    """The folder, if this machine has the same; else its copy from the machine of the Ray node.

    Raises:
        InputError: the disk of the cache has no room for it.
        OSError: it changed while it was copied.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    ask: Any = {one: ray.remote(one).options(num_cpus=0, scheduling_strategy=there) for one in (listed, part_of)}
    files: list[File] | None = ray.get(ask[listed].remote(str(folder)))
    if files is None or listed(str(folder)) == files:
        return folder
    key = hashlib.sha256(json.dumps([str(folder), files]).encode()).hexdigest()
    copy = CACHE / key[:32] / folder.name
    use(copy.parent)
    with lock(copy, CACHE):
        if not copy.exists():
            make_room(sum(file.bytes for file in files))
            print(f"{folder}: not on this machine as it is on the stage's; it is copied to {copy}", flush=True)
            with whole(copy) as partial:
                for file in files:
                    (partial / file.name).parent.mkdir(parents=True, exist_ok=True)
                    with (partial / file.name).open("wb") as out:
                        for start in range(0, file.bytes, PART):
                            out.write(ray.get(ask[part_of].remote(str(folder / file.name), start)))
                if listed(str(partial)) != files:
                    raise OSError(f"{folder}: changed while it was copied")
    return copy


def use(copy: Path) -> None:
    """Nobody removes this copy as long as this process lives."""
    with room():
        copy.mkdir(parents=True, exist_ok=True)
        if copy not in _used:
            _used[copy] = (copy / USED).open("a", encoding="utf-8")
            fcntl.flock(_used[copy], fcntl.LOCK_SH)
        (copy / USED).touch()


def make_room(needed: int) -> None:
    """Remove copies that nobody uses, the longest unused first, until there is room for so many bytes.

    Raises:
        InputError: there is none even so.
    """
    with room():
        for used in sorted(CACHE.glob(f"*/{USED}"), key=lambda path: path.stat().st_mtime):
            if free() >= needed:
                break
            with used.open("a", encoding="utf-8") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(used.parent)
        if free() < needed:
            raise InputError(f"{CACHE}: no room for a copy of {needed / 1e9:.1f} GB of data; make room on its disk")


def room() -> FileLock:
    """Held by the one process of this machine that takes a copy into use, or removes some."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return FileLock(CACHE / "room.lock")


def free() -> int:
    """Bytes that copies may still take."""
    return shutil.disk_usage(CACHE).free - SPARE
