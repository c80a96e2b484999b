"""Output folders that are whole or absent, whoever writes them and whenever they are interrupted."""

import errno
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from gen.errors import InputError

LOCKS = Path(".cache/locks")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk answers that takes no more, or no more of this user, or no larger file."""


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

    Raises:
        InputError: there is no room for it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    for stale in (partial, old):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        with room_for(out):
            partial.mkdir()  # in here: a signal may arrive as soon as it is there
            yield partial
        if out.exists():
            out.rename(old)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def room_for(out: Path) -> Iterator[None]:
    """`out` is written inside the block: raises InputError, which names it, when the disk is full.

    The system's own error of a file that is being written says neither where nor what to do.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if _number(error) not in FULL:
            raise
        where = getattr(error, "filename", None) or out
        reason = str(error).splitlines()[0]
        raise InputError(f"{where}: cannot be written ({reason}); make room there and repeat") from None


def _number(error: OSError | SafetensorError) -> int | None:
    """The system's number of an error; safetensors, whose errors are of a type of their own, has it in words."""
    if isinstance(error, OSError):
        return error.errno
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else None
