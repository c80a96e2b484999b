"""Splits of a person's own pictures, who names none."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeVar

from gen.data.source import SPLITS

T = TypeVar("T", bound=Any)


def shares(checksums: Mapping[T, bytes], validation: float, test: float) -> dict[str, list[T]]:
    """The entries of each split, in order. An entry's place in the draw depends on its bytes alone.

    Equal files under several names are all in one split, which may be a little larger for it.
    """
    keys = {entry: blake2b(checksum, digest_size=8).digest() for entry, checksum in checksums.items()}
    drawn = sorted(checksums, key=lambda entry: (keys[entry], entry))

    def end(count: int) -> int:
        while 0 < count < len(drawn) and keys[drawn[count]] == keys[drawn[count - 1]]:
            count += 1
        return count

    tested = end(round(test * len(drawn)))
    validated = end(tested + round(validation * len(drawn)))
    parts = (drawn[validated:], drawn[tested:validated], drawn[:tested])
    return {split: sorted(part) for split, part in zip(SPLITS, parts, strict=True)}
