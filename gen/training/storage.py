"""Errors of the storage that checkpoints are in: each says where it is set, and whether trying again may help."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""No room left, or no right to a file: trying again does not mend it."""
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, None)
"""A storage that may soon answer again; errors of object stores have no number."""


class Unreadable(OSError):
    """A file of the storage is there, or may be, and cannot be read now."""


class Unwritable(OSError):
    """A file cannot be written to the storage now."""


@contextmanager
def reading(path: str) -> Iterator[None]:
    """`path` is read inside the block: raises Unreadable when that fails, unless it is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = "nothing was deleted; make it readable again, and repeat the command"
        raise named(Unreadable, f"{path}: cannot be read", error, remedy) from None


@contextmanager
def writing(path: str) -> Iterator[None]:
    """`path` is written or deleted inside the block: raises Unwritable when that fails."""
    try:
        yield
    except OSError as error:
        raise named(Unwritable, f"{path}: cannot be written", error) from None


def named(kind: type[OSError], message: str, error: OSError, *remedy: str) -> OSError:
    """An error that says where the storage is set, with the number of `error`."""
    reason = str(error).splitlines()[0]
    told = kind("; ".join((f"cluster.storage: {message} ({reason})", *remedy)))
    told.errno = error.errno
    return told
