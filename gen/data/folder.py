"""Output folders that are whole or absent, whoever writes them and whenever they are interrupted."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCKS = Path(".cache/locks")


@contextmanager
def lock(out: Path, locks: Path = LOCKS) -> Iterator[None]:
    """Sole right to write `out`. It ends with the process, even a killed one; another writer waits."""
    locks.mkdir(parents=True, exist_ok=True)
    held = FileLock(locks / ("_".join(out.absolute().parts[1:]) + ".lock"))
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that writes {out}", file=sys.stderr, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and vanishes when it does not.

    What an earlier, killed writer left is removed first. The caller holds the lock of `out`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    for stale in (partial, old):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        partial.mkdir()  # in here: a signal may arrive as soon as it is there
        yield partial
        if out.exists():
            out.rename(old)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
