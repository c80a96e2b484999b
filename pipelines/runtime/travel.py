"""Files of the machine that a stage runs on, for workers whose machine does not have them: copied by way of Ray.

A worker that sees no such folder, because no disk is shared, gets a copy of it from the stage's machine, file by file
through Ray's object store, into the cache of its own machine. It is used again as long as the files are the same ones.
What the files say of each other, a manifest's sha256 above all, is checked by whoever reads them.
"""

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gen.data.folder import lock, whole
from gen.errors import InputError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen" / "files"
PART = 64 * 2**20
"""Bytes that travel at once."""
SPARE = 0.1
"""Part of the cache's disk that stays free."""
USED = "used"
"""File beside a copy: locked while somebody uses it, and touched when it was used last."""
_used: list[IO[str]] = []
"""Locks of the copies that this process uses: nobody removes those."""


class File(NamedTuple):
    """One of a folder that travels."""

    name: str
    """Relative to the folder."""
    bytes: int
    changed: int
    """When, in nanoseconds."""


def listed(folder: str) -> list[File] | None:
    """The files of a folder; None when it is not there."""
    root = Path(folder)
    if not root.is_dir():
        return None
    found = ((path, path.stat()) for path in sorted(root.rglob("*")) if path.is_file())
    return [File(str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns) for path, stat in found]


def part_of(path: str, start: int) -> bytes:
    """So many bytes of a file as travel at once."""
    with Path(path).open("rb") as file:
        file.seek(start)
        return file.read(PART)


def here(folder: Path, node: str) -> Path:
    """The folder, if this machine has it; else its copy from the machine of the Ray node, made unless it is there.

    Raises:
        InputError: the disk of the cache has no room for it.
    """
    if folder.exists():
        return folder
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    ask: Any = {one: ray.remote(one).options(num_cpus=0, scheduling_strategy=there) for one in (listed, part_of)}
    files: list[File] | None = ray.get(ask[listed].remote(str(folder)))
    if files is None:
        return folder
    key = hashlib.sha256(json.dumps([str(folder), files]).encode()).hexdigest()
    copy = CACHE / key[:32] / folder.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    use(copy.parent)
    with lock(copy, CACHE):
        if not copy.exists():
            make_room(sum(file.bytes for file in files))
            print(f"{folder}: not on this machine; it is copied to {copy}", flush=True)
            with whole(copy) as partial:
                for file in files:
                    (partial / file.name).parent.mkdir(parents=True, exist_ok=True)
                    with (partial / file.name).open("wb") as out:
                        for start in range(0, file.bytes, PART):
                            out.write(ray.get(ask[part_of].remote(str(folder / file.name), start)))
    return copy


def use(copy: Path) -> None:
    """Nobody removes this copy as long as this process lives."""
    held = (copy / USED).open("a", encoding="utf-8")
    os.utime(copy / USED)
    fcntl.flock(held, fcntl.LOCK_SH)
    _used.append(held)


def make_room(needed: int) -> None:
    """Remove copies that nobody uses, the longest unused first, until there is room for so many bytes.

    Raises:
        InputError: there is none even so.
    """
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


def free() -> int:
    """Bytes that copies may still take."""
    disk = shutil.disk_usage(CACHE)
    return int(disk.free - SPARE * disk.total)
