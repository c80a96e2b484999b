"""Faults that a process does to itself when a signal asks for them: every Python that has this folder in its path."""

import ctypes
import signal
from contextlib import suppress


def hang(number: int, frame: object) -> None:
    """In C, with the interpreter's lock held: no other thread of the process goes on."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def crash(number: int, frame: object) -> None:
    """By a read from address 0."""
    ctypes.string_at(0)


with suppress(ValueError):  # not in the main thread
    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGUSR2, crash)
