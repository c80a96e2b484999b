"""Work done in order by one thread, so that whoever asks for it never waits, not even through an outage."""

import queue
import threading
import time
from collections.abc import Callable

from gen.secrets import masked

CAPACITY = 2000
RETRY_SECONDS = 5.0
NOTICE_SECONDS = 8.0
"""After which it is said what is waited for."""
RECORD_SECONDS = 60.0
"""How long one record may take without failing."""
UPLOAD_SECONDS = 600.0
"""The same of the largest files."""


class Temporary(Exception):
    """Raised by work that may succeed when tried again."""


class Background:
    """Does what it is given, one after the other; what fails for a while is tried again, with the rest waiting."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[Callable[[], None], float] | None] = queue.Queue()
        self.problem = ""
        self.outage = ""
        self.closing = threading.Event()
        self.given_up = False
        """Set once nobody waits any more: what is left is not done, unless it is just being done."""
        self.progressed = time.monotonic()
        self.allowed = RECORD_SECONDS
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def put(self, work: Callable[[], None], allowed: float = RECORD_SECONDS, keep: bool = False) -> bool:
        """Have `work` done, in so many seconds at most once everything ends. Returns whether it will be.

        When thousands are waiting it is dropped, and `close` says so, unless it is to be kept.
        """
        if keep or self.waiting.qsize() < CAPACITY:
            self.waiting.put((work, allowed))
            return True
        self.problem = f"more than {CAPACITY} records were waiting"
        return False

    def close(self, patience_seconds: float, peer: str) -> str:
        """Wait for what is left, but no longer than that in an outage of `peer`; returns what went wrong, if so."""
        self.closing.set()
        self.waiting.put(None)
        started = self.progressed = time.monotonic()
        told = False
        while self.thread.is_alive():
            patience = patience_seconds if self.outage else self.allowed
            now = time.monotonic()
            if now > self.progressed + patience:
                self.given_up = True
                break
            if not told and now > started + NOTICE_SECONDS:
                told = True
                print(
                    f"waiting for {peer}, {masked(self.outage) or 'which is slow'}; for {patience:.0f} s at most",
                    flush=True,
                )
            self.thread.join(0.1)
        return self.outage or self.problem or ("it does not answer" if self.thread.is_alive() else "")

    def _work(self) -> None:
        while (given := self.waiting.get()) is not None:
            work, self.allowed = given
            while not self.given_up and not self._done(work):
                time.sleep(1.0 if self.closing.is_set() else RETRY_SECONDS)

    def _done(self, work: Callable[[], None]) -> bool:
        try:
            work()
            self.outage = ""
        except Temporary as error:
            self.outage = str(error)
            return False
        except Exception as error:  # a record that cannot be made must not end those after it
            self.problem = " ".join(str(error).split())[:200] or type(error).__name__
        self.progressed = time.monotonic()
        return True
