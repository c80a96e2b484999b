"""The one exception a user is meant to read."""

from gen.secrets import masked


class InputError(ValueError):
    """Something the user gave is wrong: one line that says what, where, and what would be right.

    Commands print the line and exit with status 1; nothing else catches it. Passwords in addresses are masked.
    """

    def __init__(self, line: object = "") -> None:
        super().__init__(masked(str(line)))
