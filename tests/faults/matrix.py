"""The list of faults, and how each is tried."""

import random
import shutil
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.place import CannotBeTried, Failed, Place, Repository


@dataclass
class Fault:
    """One kind of thing that happens to a run."""

    name: str
    inject: Callable[..., str]
    """Hurts a run in a fresh place, sees it to its end, and says what happened."""
    place: type[Place]
    trials: int
    """How often it is tried, unless asked otherwise."""


@dataclass
class Result:
    """What became of the trials of a fault."""

    fault: str
    trials: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """A row of the table."""
        several = len(self.happened) > 1
        happened = "; ".join(f"{count}x {what}" if several else what for what, count in self.happened.items())
        lost = "; ".join(f"{count}x {what}" for what, count in self.lost.items()) or "nothing"
        median, most = (f"{f(self.seconds):.1f}" if self.seconds else "-" for f in (statistics.median, max))
        return [self.fault, str(self.trials), happened, lost if self.trials else "-", median, most]


FAULTS: list[Fault] = []


def fault(name: str, place: type[Place] = Place, trials: int = 3) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """The function injects the fault of that name."""

    def listed(inject: Callable[..., str]) -> Callable[..., str]:
        FAULTS.append(Fault(name, inject, place, trials))
        return inject

    return listed


class Ground:
    """What trials begin from: folders that are copied for each, and what an unhurt run leaves in them."""

    def __init__(self, folder: Path, cluster: str, forks: str, template: Path, repository: Callable[[], Path]) -> None:
        self.folder = folder
        self.cluster = cluster
        self.forks = forks
        self.template = template
        self.repository = repository
        self.expected: dict[tuple[str, int], str] = {}

    def place(self, kind: type[Place], name: str, chance: random.Random) -> Place:
        template = self.repository() if issubclass(kind, Repository) else self.template
        return kind(self.folder / name, template, self.cluster, self.forks, chance)

    def unhurt(self, kind: type[Place]) -> str:
        """What is left by a run that nothing hurts."""
        key = (kind.words[0], kind.workers)
        if key not in self.expected:
            plain = kind if key[0] != "train" else type("Plain", (Place,), {"workers": kind.workers})
            made = self.place(plain, f"unhurt-{key[0]}-{key[1]}", random.Random(0))
            made.ends(made.train(), 0)
            self.expected[key] = made.digest()
            if lost := made.lost(self.expected[key]):
                raise Failed(f"the run that nothing hurts: {lost}")
        return self.expected[key]


def tried(fault: Fault, ground: Ground, trials: int, seed: int) -> Result:
    """Make the trials of one fault."""
    result = Result(fault.name)
    expected = ground.unhurt(fault.place)
    for trial in range(trials):
        chance = random.Random(f"{fault.name} {seed} {trial}")
        place = ground.place(fault.place, f"{fault.inject.__name__}-{trial}", chance)
        lost: list[str] = []
        try:
            happened = fault.inject(place)
            lost = place.lost(expected)
        except CannotBeTried as why:
            result.happened[f"not tried: {why}"] += 1
            return result
        except Exception as error:  # whatever it is: the table shows it
            message = str(error).strip().splitlines()
            happened = f"**fails**: {message[0][:200] if message else type(error).__name__}"
            lost = ["the run"]
        finally:
            orphans = place.leave()
        lost += [f"{len(orphans)} processes left ({orphans[0]})"] if orphans else []
        result.trials += 1
        result.happened[happened] += 1
        result.lost.update(lost)
        if place.seconds is not None and "fails" not in happened:
            result.seconds.append(place.seconds)
        if not lost:
            shutil.rmtree(place.folder, ignore_errors=True)
    return result
