"""What every stage's command line has in common: errors as one line, and an end with its DVC."""

import argparse
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gen.errors import InputError
from gen.secrets import masked
from pipelines.above import end_with_dvc

PARAMS = Path("params.yaml")


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
        print(f"error: {_aimed(masked(str(error)))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser for pipelines/<name>.py with an example in its help."""
    return argparse.ArgumentParser(
        f"python -m pipelines.{name}",
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def stage_parser(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    """The same for a stage, with the params file as its option."""
    made = parser(stage, description, example)
    made.add_argument("--params", type=Path, default=PARAMS, help="the params file (default: %(default)s)")
    return made


def _aimed(line: str) -> str:
    """An error's line whose `dvc repro <stage>` names the dvc.yaml beside the params file of this command."""
    option = argparse.ArgumentParser(add_help=False)
    option.add_argument("--params", type=Path, default=PARAMS)
    dvc = option.parse_known_args()[0].params.with_name("dvc.yaml")
    elsewhere = dvc.parent != Path() and dvc.exists()
    return re.sub(r"dvc repro (-\w )*(?=\w+@)", rf"\g<0>{dvc}:", line) if elsewhere else line


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
