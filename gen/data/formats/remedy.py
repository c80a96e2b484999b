"""What is said of a published file that is not as published."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen.errors import InputError


@contextmanager
def fetch_again(raw: Path, first: str = "to get it again:") -> Iterator[None]:
    """Appends the remedy to every InputError about a file of the folder `raw`, which bears its data set's name.

    Raises:
        InputError: the same line, with the command that gets the files again after what is to be done `first`.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{plain(str(error), 4000)}; {first} dvc repro -s -f fetch@{raw.name}") from None


def message(error: BaseException) -> str:
    """What a library's exception says, in one short line."""
    return plain(" ".join(str(error).split()), 200) or type(error).__name__


def plain(text: str, most: int) -> str:
    """A stranger's text as it can stand in a line: nothing that a terminal would obey, and not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:most])
    return shown + "..." if len(text) > most else shown
