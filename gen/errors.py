"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Something the user gave is wrong: one line that says what, where, and what would be right.

    Commands print the line and exit with status 1; nothing else catches it.
    """
