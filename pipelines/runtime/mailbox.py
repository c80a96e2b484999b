"""What a training worker and the stage that started it say to each other, through a Ray actor.

Imports nothing heavy: the actor is a process of its own, and everybody waits for its start.
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import ray
from ray.exceptions import GetTimeoutError

CAPACITY = 4096
SILENT_SECONDS = 60.0
"""After which a mailbox that does not answer is given up."""
BEGIN_SECONDS = 180.0
"""The same of one that has not answered yet: on a busy machine its process takes long to start."""


class Metrics(NamedTuple):
    """Losses, gradient norms, speed after so many steps."""

    step: int
    values: Mapping[str, float]


class Grid(NamedTuple):
    """A picture of images after so many steps."""

    step: int
    name: str
    """What they are: `samples`, `reconstructions`."""
    picture: bytes
    """A PNG file."""


class Ended(NamedTuple):
    """The run is over: `finished`, `stopped`, `diverged`, `refused` (its input is wrong) or `broken` (its code is)."""

    outcome: str
    reason: str = ""
    """For the user, in one line."""
    traceback: str = ""
    """The whole of it, of a run that is `broken`."""


Event = Metrics | Grid | Ended


class _Mailbox:
    """Events wait here for the driver; beyond CAPACITY the oldest are dropped, so a slow driver stalls nobody."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=CAPACITY)
        self.stop = self.ended = False

    def put(self, event: Event) -> bool:
        self.events.append(event)
        self.ended |= isinstance(event, Ended)
        return self.stop

    def take(self) -> list[Event]:
        events = list(self.events)
        self.events.clear()
        return events

    def ask_to_stop(self) -> None:
        self.stop = True

    def has_ended(self) -> bool:
        return self.ended


class Mailbox:
    """The driver's end; `handle` is what it gives to the workers."""

    def __init__(self) -> None:
        self.handle: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Mailbox).remote()

        self.asked: Any = None
        """What `take` is still waiting for: in the mailbox it is no more."""
        self.answered = time.monotonic()
        self.patience = BEGIN_SECONDS

    def take(self, seconds: float) -> list[Event]:
        """Events since the last call, in order; those that do not come in time come with a later call.

        Raises:
            RayError: there is no Ray any more, or none that answers.
        """
        self.asked = self.asked or self.handle.take.remote()
        try:
            events: list[Event] = ray.get(self.asked, timeout=seconds)
        except GetTimeoutError:
            if self.silent_seconds() > self.patience:
                raise GetTimeoutError(f"no answer for {self.patience:.0f} s") from None
            return []
        self.asked, self.answered, self.patience = None, time.monotonic(), SILENT_SECONDS
        return list(events)

    def silent_seconds(self) -> float:
        """How long ago the last answer was."""
        return time.monotonic() - self.answered

    def ask_to_stop(self) -> None:
        """The run is to save and return."""
        self.handle.ask_to_stop.remote()
