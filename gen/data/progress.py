"""How far something long has come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(what: str, unit: str, total: int | None = None, start: int = 0) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with what has been done since its last call, in `unit`."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit=unit, total=total, initial=start, unit_scale=True, leave=False) as bar:

            def move(more: int) -> None:
                bar.update(more)

            yield move
        return
    done, message = start, time.monotonic()

    def add(more: int) -> None:
        nonlocal done, message
        done += more
        if time.monotonic() - message > SECONDS_BETWEEN_LINES:
            message = time.monotonic()
            print(f"{what}: {done:,}{f' of {total:,}' if total else ''} {unit}", file=sys.stderr, flush=True)

    yield add
