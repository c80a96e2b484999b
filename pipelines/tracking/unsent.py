"""What MLflow could not be told, kept in tracking/unsent until it can: each entry is a folder with entry.json.

Entries are sent in the order in which they were kept, by the next stage that tracks something or by `gen sync`, and
removed once MLflow has all of it. What is sent twice, because a process was killed in between, is there once.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests
from filelock import FileLock
from mlflow.exceptions import MlflowException

from gen.data.folder import whole
from gen.errors import InputError
from gen.secrets import masked
from pipelines.runtime.above import home
from pipelines.tracking import results
from pipelines.tracking.facts import Facts
from pipelines.tracking.recorder import Record, Recorder
from pipelines.tracking.store import HOME, embedded, in_short, tracking_uri, warn

FOLDER = HOME / "unsent"
ENTRY = "entry.json"
EMBEDDED = "the embedded database"
RUN = "run"
"""Kind of an entry that has what runs lack."""
LOGINS = (401, 403, 407, 429)
"""Statuses of HTTP that say nothing about what was sent: another login, or a later time, may do."""
NEVER = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE")
"""Codes of the errors by which MLflow says that it will never take what was sent."""


def of_outage(error: Exception) -> bool:
    """Whether it is worth trying again soon."""
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return bool(status >= 500 or status in LOGINS)
    return isinstance(error, requests.RequestException)


def refused(error: Exception) -> bool:
    """Whether MLflow itself says that it will never take this; what a proxy says instead of it counts for nothing."""
    return isinstance(error, MlflowException) and error.error_code in NEVER


def address() -> str:
    """The store that entries are for; the embedded database moves with its checkout."""
    return EMBEDDED if embedded() else masked(tracking_uri())


def keep(kind: str, name: str, told: Mapping[str, Any], contents: Sequence[bytes | Path] = ()) -> None:
    """Keep an entry on disk, whole or not at all.

    Args:
        kind: RUN, or a key of results.SENDERS.
        name: for people who look into the folder.
        told: what its sender is told, as JSON has it.
        contents: files and folders that go with it; they are copied.

    Raises:
        InputError: the disk is full.
        OSError: it cannot be written for another reason.
    """
    place = home() / FOLDER / f"{time.time_ns()}-{name.replace('/', '_').replace(' ', '_')}"
    with whole(place) as folder:
        for number, content in enumerate(contents):
            if isinstance(content, bytes):
                (folder / str(number)).write_bytes(content)
            else:
                shutil.copytree(content, folder / str(number))
        entry = {"store": address(), "kind": kind, "name": name, "told": told}
        (folder / ENTRY).write_text(json.dumps(entry, default=float), encoding="utf-8")


def kept_or(remedy: str, keep_it: Callable[[], None]) -> str:
    """How MLflow gets it: what was kept is sent; what cannot be kept, on a full disk, has another remedy."""
    try:
        keep_it()
    except (OSError, InputError, TypeError):  # the last of what JSON does not have
        return remedy
    return f"it is kept in {FOLDER}, and the next stage or `gen sync` sends it"


def keep_runs(runs: Sequence[tuple[Recorder, Sequence[Record]]]) -> None:
    """Keep the records that runs still lack, those of one run or of a sweep, which comes first, and its trials."""
    contents: list[bytes | Path] = []
    told = []
    for recorder, records in runs:
        made = []
        for record in records:
            made.append([record.method, dict(record.told), None if record.content is None else len(contents)])
            contents += [] if record.content is None else [record.content]
        told.append({"facts": recorder.facts.as_json(), "began": recorder.began, "records": made})
    keep(RUN, runs[0][0].facts.name, {"runs": told}, contents)


def send_runs(folder: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """The sender of `keep_runs`."""
    first: Recorder | None = None
    for run in runs:
        recorder = Recorder(Facts.of_json(run["facts"]), run["began"], parent=first, late=True)
        recorder.begin()
        first = first or recorder
        for method, told, number in run["records"]:
            path = None if number is None else folder / str(number)
            record = Record(method, told, path if path is None or path.is_dir() else path.read_bytes())
            send_or_say(recorder.facts.name, lambda: recorder.send(record))  # noqa: B023


def send_or_say(name: str, work: Callable[[], None]) -> None:
    """Do it; what MLflow will never take is said, and does not keep back what comes after it."""
    try:
        work()
    except Exception as error:
        if not refused(error):
            raise
        warn(f"lacks part of {name} for good: {in_short(error)}")


class Entry(NamedTuple):
    """One that is kept."""

    folder: Path
    store: str
    """For which it is."""
    kind: str
    name: str
    told: dict[str, Any]


def kept() -> list[Entry]:
    """All entries, the oldest first; one that cannot be read is said."""
    found = []
    for path in sorted((home() / FOLDER).glob(f"[0-9]*/{ENTRY}")):
        try:
            found.append(Entry(folder=path.parent, **json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            print(f"warning: {path}: cannot be read ({error}); remove its folder", flush=True)
    return found


def waiting() -> list[Entry]:
    """The entries that are for the present store."""
    return [entry for entry in kept() if entry.store == address()]


def send(entry: Entry) -> None:
    """Send it. Raises what MLflow raises."""
    if entry.kind == RUN:
        send_runs(entry.folder, **entry.told)
    else:
        results.SENDERS[entry.kind](entry.folder / "0", **entry.told)


def send_waiting(done: Callable[[str], None] = lambda name: None) -> None:
    """Send all that waits for the present store, and tell `done` the name of each entry. One process does at a time.

    Raises:
        Exception: the first of an entry that could not be sent, after those behind it were tried; it stays.
    """
    if not waiting():
        return
    problems = []
    with FileLock(home() / HOME / "unsent.lock"):
        for entry in waiting():
            try:
                send(entry)
            except requests.ConnectionError:  # nobody is there: those behind it need not be tried
                raise
            except Exception as error:
                problems.append(error)
                continue
            sent = entry.folder.rename(entry.folder.with_name(f".{entry.folder.name}.sent"))
            shutil.rmtree(sent)
            done(entry.name)
    if problems:
        raise problems[0]
