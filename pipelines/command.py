"""What every stage's command line has in common: errors as one line, and an end with its DVC."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gen.errors import InputError
from pipelines.above import end_with_dvc


def run(main: Callable[[], None]) -> int:
    """Run `main`; returns the exit status: 0, 1 after an error of input or of the disk, 130 when interrupted.

    Meanwhile SIGTERM unwinds the stack as an interrupt does, so that nothing half-written stays; a stage whose DVC has
    ended sends itself one.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_dvc()
    try:
        main()
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser for pipelines/<stage>.py with an example in its help, and the params file as its option."""
    made = argparse.ArgumentParser(
        f"python -m pipelines.{stage}",
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--params", type=Path, default=Path("params.yaml"), help="the params file (default: %(default)s)")
    return made


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
