"""What every command has in common: errors as one line, and an end with its DVC."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from gen.errors import InputError
from gen.secrets import masked
from pipelines.runtime.above import end_with_dvc


def run(main: Callable[[], None]) -> int:
    """Run `main`; returns the exit status: 0, 1 after an error of input or of the disk, 130 when interrupted.

    Meanwhile SIGTERM unwinds the stack as an interrupt does, so that nothing half-written stays; a stage whose DVC has
    ended sends itself one.
    """
    terminated: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.alarm(0)  # which Ray sets, to abort a process that takes longer than three seconds
        if terminated and sys.exception():  # asked again while it ends: what it puts in order is not to be cut short
            return
        terminated.append(128 + number)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, terminate)
    end_with_dvc()
    try:
        main()
    except BaseException as error:
        if terminated:  # whatever a library that it passed through has made of it
            return terminated[-1]
        if isinstance(error, KeyboardInterrupt):
            return 130
        if not isinstance(error, InputError | OSError):
            raise
        print(f"error: {masked(str(error))}", file=sys.stderr)
        return 1
    return 0


def end_at_once() -> None:
    """From now on both signals just end the process: all is done but Python's own end.

    There they would be a traceback for each hook of a library that is cut short, and the process would go on.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody may be left to read it
            stream.flush()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def ends_at_ctrl_c() -> Iterator[None]:
    """Ctrl-C just ends the process inside the block: in seconds of imports there is nothing to put in order."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def aimed(params: Path, main: Callable[[], None]) -> None:
    """Run `main`; an error's `dvc repro <stage>` names the dvc.yaml beside the params file.

    Raises:
        InputError: as `main` does, and for errors of the disk.
    """
    dvc = params.with_name("dvc.yaml")
    try:
        main()
    except (InputError, OSError) as error:
        if dvc.parent == Path() or not dvc.exists():
            raise
        raise InputError(re.sub(r"dvc repro (-\w )*(?=\w+@)", rf"\g<0>{dvc}:", str(error))) from error
