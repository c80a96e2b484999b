"""Every run in MLflow, written in the background: an outage or a slow server neither stops nor slows training."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gen.secrets import masked
from pipelines.runtime.background import RECORD_SECONDS, UPLOAD_SECONDS, Background, Temporary
from pipelines.tracking import unsent
from pipelines.tracking.facts import Facts
from pipelines.tracking.recorder import Record, Recorder
from pipelines.tracking.store import in_short, later, tracking_uri, warn

MOST_MEASURED = 100_000
"""Metrics that wait through an outage; later ones are dropped, and said to be."""
PATIENCE_SECONDS = 30.0
BYTES_PER_SECOND = 1e6
"""At which a slow store takes files."""


class Tracker:
    """One MLflow run. Every method but `close` returns at once.

    Trackers that share a background are written one after the other, so many at once never wait for a lock.
    """

    def __init__(self, facts: Facts, background: Background | None = None, parent: "Tracker | None" = None) -> None:
        self.facts = facts
        self.recorder: Recorder = Recorder(facts, milliseconds(), parent.recorder if parent else None)
        self.trials: list[Tracker] = []
        """Of a sweep's: those that have it as their parent."""
        if parent is not None:
            parent.trials.append(self)
        self.status = ""
        """How it was told that it ended."""
        self.measured: list[tuple[str, float, int, int]] = []
        self.unsent: list[Record] = []
        """All else that MLflow does not have yet, in order."""
        self.flush_waits = False
        self.background = background or Background()
        self._later(lambda: None, UPLOAD_SECONDS if unsent.waiting() else None)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name at a step, once: a process or worker that replaces a killed one tells them again."""
        now = milliseconds()
        if len(self.measured) > MOST_MEASURED:
            self.background.problem = f"more than {MOST_MEASURED} metrics were waiting"
            return
        self.measured += [(name, value, now, step) for name, value in values.items()]
        if not self.flush_waits:
            self.flush_waits = True
            self._later(self._flush, RECORD_SECONDS)

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """A PNG, one of the steps of the image `name`."""
        self._record(Record("grid", {"step": step, "name": name}, picture))

    def model(self, folder: Path) -> None:
        """An exported model, which is registered under the run's name if it samples."""
        self._record(Record("model", {}, folder), upload_seconds(folder))

    def text(self, name: str, content: str) -> None:
        """One file that is not on disk."""
        self._record(Record("text", {"name": name}, content.encode()), RECORD_SECONDS)

    def files(self, folder: Path) -> None:
        """All files of a folder."""
        self._record(Record("files", {}, folder), upload_seconds(folder))

    def end(self, status: str, **tags: str) -> None:
        """Give the run an MLflow status, and tags that say why."""
        self.status = status
        self._record(Record("end", {"status": status, "tags": tags, "at": milliseconds()}), RECORD_SECONDS)

    @contextmanager
    def ended_whatever_happens(self) -> Iterator[None]:
        """A run that an exception ends inside the block, before it was told how, is not RUNNING in MLflow for ever."""
        try:
            yield
        except BaseException as error:
            if not self.status:
                asked = isinstance(error, KeyboardInterrupt | SystemExit)
                message = " ".join(masked(str(error)).split())[:1000] or type(error).__name__
                self.end("KILLED" if asked else "FAILED", outcome="interrupted" if asked else message)
                self.close()
            raise

    def close(self) -> None:
        """Wait for what is left, in an outage for half a minute at most; then keep it on disk, and say so.

        Where that cannot be, on a full disk, a run that finished tells all of it again when it is started once more,
        from its checkpoints.
        """
        problem = "it was not waited for"
        try:
            problem = self.background.close(PATIENCE_SECONDS, f"MLflow at {masked(tracking_uri())}")
        finally:
            if problem:
                self._keep(problem)

    def _keep(self, problem: str) -> None:
        """Keep what MLflow lacks of the run and its trials, and say so."""
        remedy = f"{later()}, and trains nothing" if self.status == "FINISHED" else ""
        lacking = [(one.recorder, one.lacks()) for one in self.trials]
        lacking = [(self.recorder, self.lacks()), *(one for one in lacking if one[1])]
        if any(records for _, records in lacking):
            remedy = unsent.kept_or(remedy, lambda: unsent.keep_runs(lacking))
        warn(f"lacks part of run {self.facts.name}: {'; '.join(filter(None, (problem, remedy)))}")

    def lacks(self) -> list[Record]:
        """All that MLflow does not have yet."""
        measured = [Record("metrics", {"values": self.measured.copy()})] if self.measured else []
        return [*measured, *self.unsent]

    def _record(self, record: Record, allowed: float | None = None) -> None:
        """Have it sent."""

        def send() -> None:
            try:
                self.recorder.send(record)
            except Exception as error:
                if unsent.refused(error):
                    self.unsent.remove(record)
                raise
            self.unsent.remove(record)

        self.unsent.append(record)
        if not self._later(send, allowed):
            self.unsent.remove(record)

    def _later(self, work: Callable[[], object], allowed: float | None = None) -> bool:
        """Have it done; what has a time of its own is kept though thousands are waiting. Returns whether it will be."""

        def attempt() -> None:
            if not self.recorder.run_id:
                self._first_contact()
            if self.background.given_up:  # it is on disk, and somebody else's
                return
            try:
                work()
            except Exception as error:
                if unsent.of_outage(error):
                    raise Temporary(in_short(error)) from None
                raise

        return self.background.put(attempt, allowed or RECORD_SECONDS, keep=allowed is not None)

    def _first_contact(self) -> None:
        """Begin, or try again later whatever went wrong: nothing can be recorded before."""
        with suppress(Exception):  # what MLflow does not take of others keeps nobody back
            unsent.send_waiting()
        if self.background.given_up:
            return
        try:
            self.recorder.begin()
        except Exception as error:
            raise Temporary(in_short(error)) from None

    def _flush(self) -> None:
        self.flush_waits = False  # before looking: what is measured from now on asks for another
        while some := self.measured[:MOST_MEASURED]:
            self.recorder.metrics(some)
            del self.measured[: len(some)]


def milliseconds() -> int:
    """The time, as MLflow has it."""
    return int(time.time() * 1000)


def upload_seconds(folder: Path) -> float:
    """How long the files of a folder may take to a slow store."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return min(UPLOAD_SECONDS, 2 * RECORD_SECONDS + size / BYTES_PER_SECOND)
