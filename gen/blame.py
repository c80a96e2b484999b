"""Where a program error lies, in one line: for whoever writes a family, and would not read a traceback of the loop."""

import traceback
from pathlib import Path

FRAMES = 3
"""So many of the file's own calls are shown, the innermost first."""
LONGEST = 300
"""Characters of the error's message."""


def blame(error: BaseException, file: Path) -> str:
    """The error, then file:line and source of its last frames inside `file`; of its last frame, when none is in there.

    RuntimeError: mat1 and mat2 ...; gen/families/x.py:81 in loss: `h = x @ w`, called at gen/families/x.py:64 in ...
    """
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:  # the file was never run
        frames.append(traceback.FrameSummary(error.filename, error.lineno, "the file", line=error.text or ""))
    own = [frame for frame in frames if Path(frame.filename) == file] or frames[-1:]
    places = [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}: `{frame.line}`" for frame in own[-FRAMES:]]
    return "; ".join([_message(error), *filter(None, [", called at ".join(reversed(places))])])


def raised_in(error: BaseException, file: Path) -> bool:
    """Whether a call in `file` raised it, or called what did: its frames end there, or in a library that it called.

    What the loop itself calls, a disk or another worker, is not called through the file.
    """
    return any(Path(frame.filename) == file for frame in traceback.extract_tb(error.__traceback__))


def _message(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {message[:LONGEST]}" if message else type(error).__name__


def _short(file: str) -> str:
    """Relative to the folder that holds gen, if it lies in there."""
    home = Path(__file__).parent.parent
    return str(Path(file).relative_to(home)) if Path(file).is_relative_to(home) else file
