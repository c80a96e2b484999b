"""How long workers are waited for that say nothing, or that are to save, and what is said of it meanwhile."""

import time
from collections.abc import Mapping
from concurrent.futures import Future

import ray

from pipelines.runtime.cluster import capacity, resources
from pipelines.runtime.mailbox import Ended, Mailbox
from pipelines.runtime.patience import asked

TOO_FEW_SECONDS = 60.0
"""How long a cluster is waited for that has too few CPUs, after the loss of a host, say."""
GROWING_SECONDS = 900.0
"""The same of a cluster whose autoscaler may start as many."""
UNHEARD_SECONDS = 20.0
"""How long workers that have said nothing yet are waited for once they are to stop: a busy cluster may have none."""
SAVE_SECONDS = 60.0
"""How long those that have been heard are waited for: one may hang, and what was saved before is safe."""
NOTICE_SECONDS = 8.0
"""After which it is said that they are waited for."""


class Silence:
    """Workers that say nothing: what is said of it, and how long a cluster is waited for that cannot have them."""

    def __init__(self, name: str, needs: Mapping[str, int]) -> None:
        self.name = name
        self.needs = needs
        """CPUs and GPUs that the run takes of the cluster."""
        self.heard = self.looked = time.monotonic()
        self.short_since = 0.0
        """Since when the cluster has had too few CPUs; 0: it has enough."""
        self.patience = TOO_FEW_SECONDS
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        taken = [kind for kind, need in needs.items() if free.get(kind, 0.0) < need]
        self.busy = ", ".join(f"{needs[kind]} {kind}s, of which {free.get(kind, 0.0):.0f} are free" for kind in taken)
        """What others have taken of the cluster before it could begin; empty: nothing, or it was said."""
        self.answer: Future[tuple[float, float]] | None = None
        """What `cpus` waits for."""

    def cpus(self) -> tuple[float, float] | None:
        """How many CPUs the cluster has, and how many it may grow to; None while it has not answered.

        It is not waited for: a Ray that is just ending never answers, and ends this process after a minute.
        """
        self.answer = self.answer or asked(lambda: (resources()["CPU"], capacity()["CPU"]))
        if not self.answer.done():
            return None
        found, self.answer = self.answer.result(), None
        return found

    def given_up(self, heard: bool) -> Ended | None:
        """How it ended, when the cluster is not waited for any longer. `heard` is whether a worker just said a word."""
        now = time.monotonic()
        if heard:
            self.heard, self.short_since, self.busy = now, 0.0, ""
        if now - self.heard < NOTICE_SECONDS or now - self.looked < 1.0:
            return None
        if (found := self.cpus()) is None:
            return None
        self.looked, (have, most) = now, found
        few = f"the run takes {self.needs['CPU']} CPUs, the cluster has {have:.0f} left"
        if have >= self.needs["CPU"]:
            self.short_since = 0.0
            if self.busy:
                print(f"{self.name}: waiting for {self.busy}; `ray status` tells what takes them", flush=True)
                self.busy = ""
        elif not self.short_since:
            self.short_since = now
            self.patience = GROWING_SECONDS if most >= self.needs["CPU"] else TOO_FEW_SECONDS
            print(f"{self.name}: {few}; waiting for more, for {self.patience:.0f} s at most", flush=True)
        elif now - self.short_since > self.patience:
            remedy = "start it again once its hosts are back, or with fewer workers or threads"
            return Ended("failed", f"{few}, and no more came in {self.patience:.0f} s; {remedy}")
        return None


class Stopping:
    """Workers that are to save and return, and how long they are waited for."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.name = name
        self.mailbox = mailbox
        self.asked = 0.0
        self.told = False

    def given_up(self, heard: bool) -> Ended | None:
        """Ask them; how it ended, when they are not waited for any longer. `heard` is whether they ever said a word."""
        if not self.asked:
            print(f"{self.name}: asked to stop; it saves a checkpoint first", flush=True)
        self.asked = self.asked or time.monotonic()
        self.mailbox.ask_to_stop()
        waited = time.monotonic() - self.asked
        answers = heard and self.mailbox.silent_seconds() < UNHEARD_SECONDS
        if waited > (SAVE_SECONDS if answers else UNHEARD_SECONDS):
            return Ended(
                "stopped", f"without an answer of its workers for {waited:.0f} s; what was saved before is kept"
            )
        if waited > NOTICE_SECONDS and not self.told:
            self.told = True
            print(f"{self.name}: waiting for its workers to save, for {SAVE_SECONDS:.0f} s at most", flush=True)
        return None
