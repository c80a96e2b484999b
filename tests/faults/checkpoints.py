"""Damage of the newest checkpoint of a run that was killed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.matrix import fault
from tests.faults.place import Failed, Place


def damaged(place: Place, damage: Callable[[Path], object]) -> str:
    """Kill the run, damage its newest checkpoint, and start it again: it is to go on from the one before."""
    process = place.train()
    place.moment(process, least=2)
    process.kill()
    process.communicate()
    place.wait(lambda: not place.orphans())
    newest = max(manifest.parent for manifest in place.folder.glob("storage/ring-*/step_*/manifest.json"))
    place.hurt()
    damage(newest)
    text = place.ends(place.start("train", "ring"), 0)
    if "goes on from step" not in text:
        raise Failed("it begins anew")
    return "goes on from the checkpoint before"


@fault("newest checkpoint truncated")
def truncated(place: Place) -> str:
    return damaged(place, lambda newest: cut(newest / "state.pt", place))


@fault("newest checkpoint emptied")
def emptied(place: Place) -> str:
    return damaged(place, lambda newest: os.truncate(newest / "state.pt", 0))


@fault("newest checkpoint's payload deleted")
def deleted(place: Place) -> str:
    return damaged(place, lambda newest: (newest / "state.pt").unlink())


@fault("one bit of the newest checkpoint flipped")
def flipped(place: Place) -> str:
    return damaged(place, lambda newest: flip(newest / "state.pt", place))


@fault("newest checkpoint's manifest truncated")
def manifest_truncated(place: Place) -> str:
    return damaged(place, lambda newest: cut(newest / "manifest.json", place))


@fault("run.json emptied, as a power cut leaves it")
def note_emptied(place: Place) -> str:
    damaged(place, lambda newest: os.truncate(newest.parent / "run.json", 0))
    return "goes on from the newest checkpoint"


@fault("clock jumps: checkpoints dated in ten years")
def from_the_future(place: Place) -> str:
    def date(newest: Path) -> None:
        later = time.time() + 10 * 365 * 86400
        for path in newest.parent.rglob("*"):
            os.utime(path, (later, later))

    damaged(place, date)
    return "goes on from the newest checkpoint"


def cut(path: Path, place: Place) -> None:
    os.truncate(path, place.chance.randrange(1, path.stat().st_size))


def flip(path: Path, place: Place) -> None:
    content = bytearray(path.read_bytes())
    content[place.chance.randrange(len(content))] ^= 1 << place.chance.randrange(8)
    path.write_bytes(content)
