"""The one exception a user is meant to read."""

from collections.abc import Sequence

from gen.secrets import masked

MOST = 20
"""Problems that one line names; of the rest it is said how many."""


class InputError(ValueError):
    """Something the user gave is wrong: one line that says what, where, and what would be right.

    Commands print the line and exit with status 1; nothing else catches it. Passwords in addresses are masked.
    """

    def __init__(self, line: object = "") -> None:
        super().__init__(masked(str(line)))


def refuse(problems: Sequence[str]) -> None:
    """Raises InputError with all problems in one line, unless there are none: they are mended in one round."""
    if problems:
        more = f"; and {len(problems) - MOST} more" if len(problems) > MOST else ""
        raise InputError("; ".join(problems[:MOST]) + more)
