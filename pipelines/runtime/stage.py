"""What a stage that runs long needs of the system: to be alone on its output, and to hear when it shall end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from gen.errors import InputError

LOCKS = Path(".cache/locks")
PATIENCE_SECONDS = 600.0
STOPPED = 143
"""Exit status of a stage that SIGTERM ended."""


@contextmanager
def alone(name: str, checkout: Path = Path()) -> Iterator[None]:
    """No other process of a checkout runs `name` inside the block; waits for one that is just ending.

    A stage may be started while an earlier one, orphaned by a terminated `dvc repro`, is still saving.

    Raises:
        InputError: the other one does not end within ten minutes.
    """
    locks = checkout / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: waiting for another process that is at it", flush=True)
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            raise InputError(
                f"{name}: another process has been at it for {PATIENCE_SECONDS:.0f} s; end it first"
            ) from None
    try:
        yield
    finally:
        lock.release()


def stop_requests() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets from now on, instead of ending the process; for the main thread."""
    event = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return event
