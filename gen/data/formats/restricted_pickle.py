"""Pickles of plain data and numpy arrays, read without running anything they name.

A pickle is a program: it may name any function and call it. Here the three names a numpy array needs stand for
objects of this file, which only keep what they are given; every other name, and every opcode that the published
files do not use, is refused before anything is unpickled. Published by Python 2, so byte strings stay bytes.
"""

import io
import math
import pickle
import pickletools
from reprlib import repr
from typing import Any

import numpy as np
from numpy import ndarray

from gen.data.formats.remedy import message
from gen.errors import InputError

ARRAY, DTYPE, MAKE = "ndarray", "dtype", "_reconstruct"
NAMES = {
    ("numpy", ARRAY): ARRAY,
    ("numpy", DTYPE): DTYPE,
    ("numpy.core.multiarray", MAKE): MAKE,
    ("numpy._core.multiarray", MAKE): MAKE,
}
ALLOWED = (
    "PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES "
    "BINUNICODE EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD"
)
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes if opcode.name in ALLOWED.split()}
CALLS = {"REDUCE", "BUILD", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
LEAVES = {"PROTO", "MARK", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT"}
"""Opcodes that push nothing."""
MOST_CALLS = 64
"""Of these together: an array needs about ten. Bounds how deep a value can nest."""
MOST_STEPS = 200_000
"""Opcodes of a pickle; a published batch of 10,000 rows has about 30,000. Bounds the time and the objects made."""
MOST_DIMENSIONS = 8
DTYPES = {b"u1": "<u1", b"i4": "<i4", b"i8": "<i8", b"f4": "<f4", b"f8": "<f8"}
FAULTS = (pickle.UnpicklingError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, OverflowError)


def unpickle(blob: bytes, where: str) -> Any:
    """The value of a pickle: None, bool, int, bytes, str, tuple, list, dict and read-only numeric arrays.

    Raises:
        InputError: it is damaged, or names or does anything but that.
    """
    try:
        _inspect(blob)
        return _arrays(_Unpickler(io.BytesIO(blob), encoding="bytes").load())
    except FAULTS as error:
        raise InputError(f"{where}: not a pickle of plain arrays: {message(error)}") from None


def _inspect(blob: bytes) -> None:
    """Refuses opcodes that are not needed, and what could exhaust memory or time.

    What a call or a tuple gave may be remembered, but not recalled: tuples of the same tuples, 60 deep, take for ever
    to hash.
    """
    stream = io.BytesIO(blob)
    name, count, calls = "", 0, 0
    made = False  # whether a call or a tuple gave what is on top
    remembered: set[object] = set()  # which memos are such
    while name != "STOP":
        place = stream.tell()
        if (opcode := OPCODES.get(code := stream.read(1))) is None:
            raise pickle.UnpicklingError(f"opcode {code!r} at byte {place} is not allowed")
        name, argument = opcode.name, None
        if name == "GLOBAL":  # find_class judges the names; pickletools would take backslashes in them for escapes
            stream.readline(), stream.readline()
        elif opcode.arg:
            argument = opcode.arg.reader(stream)
        if name == "LONG_BINPUT" and int(argument or 0) > count:
            raise pickle.UnpicklingError(f"memo {argument} at byte {place} is out of order")
        if name in ("BINPUT", "LONG_BINPUT"):
            (remembered.add if made else remembered.discard)(argument)
        elif name in ("BINGET", "LONG_BINGET") and argument in remembered:
            raise pickle.UnpicklingError(f"byte {place}: it recalls a tuple or what a call gave")
        made = name in CALLS or (made and name in LEAVES)
        count += 1
        if count > MOST_STEPS:
            raise pickle.UnpicklingError(f"byte {place}: more than {MOST_STEPS} opcodes")
        calls += name in CALLS
        if calls > MOST_CALLS:
            raise pickle.UnpicklingError(f"byte {place}: more than {MOST_CALLS} tuples and calls")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> "_Name":
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed")
        return _Name(NAMES[module, name])


class _Name:
    """Stands for one of numpy's three names; calling it makes an empty `_Made`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> "_Made":
        return _Made(self.name, arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError(f"it changes {self.name}")


class _Made:
    """Stands for an array or dtype: what it was made of and the state it was given, unlooked at."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[object, ...]) -> None:
        self.name, self.arguments, self.state = name, arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _arrays(value: Any) -> Any:
    """`value`, or the values of a dict, with the arrays themselves in place of what stands for them."""
    if isinstance(value, dict):
        return {key: _array(item) if isinstance(item, _Made) else item for key, item in value.items()}
    return _array(value) if isinstance(value, _Made) else value


def _array(made: _Made) -> ndarray:
    if made.name != MAKE or not isinstance(made.state, tuple) or len(made.state) != 5:
        raise pickle.UnpicklingError(f"{made.name} without an array's state")
    _, shape, dtype, fortran, content = made.state
    if not isinstance(dtype, _Made) or dtype.name != DTYPE or not dtype.arguments:
        raise pickle.UnpicklingError("an array without a dtype")
    if (kind := DTYPES.get(dtype.arguments[0])) is None or not (dtype.state and dtype.state[1] in (b"|", b"<")):
        raise pickle.UnpicklingError(f"dtype {repr(dtype.arguments)}, expected little-endian {[*DTYPES]}")
    if not isinstance(shape, tuple) or len(shape) > MOST_DIMENSIONS:
        raise pickle.UnpicklingError(f"shape {repr(shape)}")
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"shape {repr(shape)}")
    if not isinstance(content, bytes) or len(content) != math.prod(shape) * np.dtype(kind).itemsize:
        raise pickle.UnpicklingError(f"an array of shape {repr(shape)} with content of another size")
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")
