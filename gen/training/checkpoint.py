"""Checkpoints that survive a kill at any moment: written in full, then vouched for by a manifest.

    <storage>/<run>-<identity>/run.json              which attempt this is, and whether it ended
                               grids/samples-00000500.webp   what it drew after 500 steps
                               step_00000500/state.pt
                               step_00000500/manifest.json   sha256 of state.pt; written last

Storage is a folder or an object-store URL. Nothing counts as a checkpoint until its manifest verifies, so neither a
half-written newest one nor a damaged one is ever continued from: the newest that verifies is. What cannot be read, in
an outage or for want of a right, may well be whole: that is an error, and nothing is deleted.
"""

import hashlib
import io
import json
import logging
import pickle
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.fs
import torch
from torch import Tensor

from gen.errors import InputError
from gen.training.storage import PASSING, reading, writing

logger = logging.getLogger(__name__)

GRIDS = "grids"
"""Folder of the pictures of a run's samples, among its checkpoints and in what it leaves."""
UNITS = ("B", "kB", "MB", "GB", "TB")
MISFITS = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, EOFError, pickle.UnpicklingError)
"""What it raises to use content of another kind."""


class Start(NamedTuple):
    """How a run begins."""

    attempt: str
    """Names this attempt at the run; kept when it is continued."""
    continued: bool
    """Whether there may be checkpoints to go on from."""


class Checkpoints:
    """The checkpoints of one run: of one name and one identity."""

    def __init__(self, storage: str, run: str, identity: str) -> None:
        """Raises InputError when `storage` is neither a folder nor a URL that can be read."""
        remote = "://" in storage
        try:
            self.fs, root = pyarrow.fs.FileSystem.from_uri(storage if remote else str(Path(storage).absolute()))
        except pyarrow.ArrowException as error:
            message = str(error).splitlines()[0]
            remedy = "give a folder, or a URL as s3://bucket/folder"
            raise InputError(f"cluster.storage: {storage}: {message}; {remedy}") from None
        self.root = f"{root.rstrip('/')}/{run}-{identity[:16]}"
        self.local = not remote or storage.startswith("file://")
        self.run = run
        self.identity = identity

    def begin(self, steps: int, fresh: bool, scoring: str = "") -> Start:
        """Decide whether to go on: with an unfinished attempt, or a finished one that is to go further or be exported.

        To be called once, by whoever starts the workers. A fresh start deletes what an earlier attempt left.

        Args:
            steps: at which the run is to end.
            fresh: do not go on, whatever there is.
            scoring: how its checkpoints are scored; one that finished there, and whose checkpoints were scored
                otherwise, starts anew, as does any when this is empty.

        Raises:
            Unreadable: it cannot be seen what there is.
        """
        note = self._note()
        ended, reached = note.get("ended"), self.vouched()
        # A power cut may have emptied the note, or it is missing; the checkpoints are verified themselves.
        begun = note or reached or self.has("run.json")
        unfinished = begun and ended is None and (not reached or reached[-1] <= steps)
        finished = ended if note.get("outcome") == "finished" else None
        extended = finished is not None and finished < steps
        complete = finished == steps and bool(scoring) and note.get("scoring") == scoring
        if not fresh and (unfinished or extended or complete):
            attempt = note.get("attempt") or uuid.uuid4().hex
            self.put("run.json", json.dumps({"attempt": attempt}).encode())
            return Start(attempt, continued=True)
        with writing(self.root):
            if self.fs.get_file_info(self.root).type != pyarrow.fs.FileType.NotFound:
                self.fs.delete_dir(self.root)
        attempt = uuid.uuid4().hex
        self.put("run.json", json.dumps({"attempt": attempt}).encode())
        return Start(attempt, continued=False)

    def outcome(self) -> str | None:
        """How the attempt ended; None when there is none or it has not."""
        return self._note().get("outcome")

    def _note(self) -> dict[str, Any]:
        """What run.json says. What neither `begin` nor `end` writes is left out: it may cost no checkpoint."""
        note = self.read_json("run.json") or {}
        if type(note.get("ended")) is not int or note.get("outcome") not in ("finished", "diverged"):
            note = {key: value for key, value in note.items() if key not in ("ended", "outcome")}
        return note if isinstance(note.get("attempt", ""), str) else {}

    def end(self, step: int, outcome: str, scoring: str = "") -> None:
        """Note that the attempt is over (`finished` or `diverged`), and how its checkpoints were scored."""
        note = self._note()
        self.put("run.json", json.dumps({**note, "ended": step, "outcome": outcome, "scoring": scoring}).encode())

    def steps(self) -> list[int]:
        """The steps at which a checkpoint was begun, ascending; not all need be whole."""
        selector = pyarrow.fs.FileSelector(self.root, allow_not_found=True)
        with reading(self.root):
            names = [info.base_name for info in self.fs.get_file_info(selector)]
        found = [re.fullmatch(r"step_(\d+)", name) for name in names]
        return sorted(int(one[1]) for one in found if one)

    def vouched(self) -> list[int]:
        """The steps whose checkpoint has a manifest, which is written last, ascending."""
        return [step for step in self.steps() if self.has(f"{_name(step)}/manifest.json")]

    def newest(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The state of the newest checkpoint that verifies; None when there is none. Raises Unreadable."""
        for step in reversed(self.steps()):
            state = self.at(step, device)
            if state is not None:
                return state
            logger.warning("%s: checkpoint of step %d is damaged or incomplete; trying the one before", self.run, step)
        return None

    def at(self, step: int, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The state saved at `step`, or None when it does not verify.

        Raises:
            InputError: it verifies, and is not what `save` writes.
            Unreadable: it is there and cannot be read.
        """
        manifest = self.read_json(f"{_name(step)}/manifest.json")
        blob = self._read(f"{_name(step)}/state.pt")
        if blob is None or manifest != self._manifest(step, blob):
            return None
        with self.understood(step):
            state: dict[str, Any] = torch.load(io.BytesIO(blob), map_location=device, weights_only=True)
            if state["steps_done"] != step:
                raise ValueError(f"it is of step {state['steps_done']}")
        return state

    @contextmanager
    def understood(self, step: int) -> Iterator[None]:
        """The content of the checkpoint of `step` is used inside the block: raises InputError when it does not fit."""
        try:
            yield
        except (InputError, torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except MISFITS as error:
            message = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            raise InputError(
                f"{self.root}/{_name(step)}: whole, but no checkpoint of this run ({message}); move that folder away "
                "to go on from the one before"
            ) from None

    def drop_after(self, step: int) -> None:
        """Delete what was begun after `step` and is not whole, so that nothing takes it for a checkpoint."""
        for begun in self.steps():
            if begun > step:
                self._delete(begun)

    def save(self, step: int, state: Mapping[str, Any], keep: int, best: int | None) -> None:
        """Write the checkpoint of `step`, then drop all but the last `keep` and the one of step `best`.

        Raises:
            InputError: storage is full or not writable; what was there before stays.
            Unreadable, Unwritable: of a kind that may pass: an outage, say.
        """
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        blob = buffer.getvalue()
        try:
            if step in self.steps():
                self._delete(step)
            self.put(f"{_name(step)}/state.pt", blob)
            self.put(f"{_name(step)}/manifest.json", json.dumps(self._manifest(step, blob)).encode())
        except OSError as error:
            if error.errno in PASSING:
                raise
            remedy = "free space or move cluster.storage"
            raise InputError(f"cannot save step {step}: {error}; {remedy}") from None
        for old in self.steps()[:-keep]:
            if old != best:
                self._delete(old)

    def check_space(self, weights: Mapping[str, Tensor], keep: int) -> None:
        """Compare the disk with what checkpoints will need: weights, their average and two moments, keep + 2 times.

        Raises:
            InputError: a local disk has less.
        """
        if not self.local:
            return
        need = 4 * (keep + 2) * sum(tensor.nbytes for tensor in weights.values())
        self.fs.create_dir(self.root)
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise InputError(
                f"{self.root}: checkpoints need about {_size(need)}, {_size(free)} are free; "
                "lower logging.keep_checkpoints or move cluster.storage"
            )

    def put(self, name: str, content: bytes) -> None:
        """Write one file of the run; on a local disk it is there whole or not at all."""
        path = f"{self.root}/{name}"
        target = f"{path}.partial" if self.local else path
        with writing(path):
            self.fs.create_dir(path.rpartition("/")[0])
            with self.fs.open_output_stream(target) as stream:
                stream.write(content)
            if self.local:
                self.fs.move(target, path)

    def grids(self) -> Iterator[tuple[str, bytes]]:
        """The pictures of the run's samples that were kept, by their file names. Raises Unreadable."""
        selector = pyarrow.fs.FileSelector(f"{self.root}/{GRIDS}", allow_not_found=True)
        with reading(f"{self.root}/{GRIDS}"):
            found = self.fs.get_file_info(selector)
        for info in found:
            content = self._read(f"{GRIDS}/{info.base_name}") if info.base_name.endswith(".webp") else None
            if content:
                yield info.base_name, content

    def put_grid(self, step: int, name: str, content: bytes) -> None:
        """Keep a picture, unless that fails: it is worth no run, and a checkpoint that fails will say why."""
        with suppress(OSError):
            self.put(f"{GRIDS}/{name}-{step:08d}.webp", content)

    def has(self, name: str) -> bool:
        """Whether the run has a file of that name. Raises Unreadable."""
        with reading(f"{self.root}/{name}"):
            return bool(self.fs.get_file_info(f"{self.root}/{name}").type == pyarrow.fs.FileType.File)

    def _manifest(self, step: int, blob: bytes) -> dict[str, Any]:
        return {"identity": self.identity, "step": step, "sha256": hashlib.sha256(blob).hexdigest()}

    def _read(self, name: str) -> bytes | None:
        try:
            with reading(f"{self.root}/{name}"), self.fs.open_input_stream(f"{self.root}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def _delete(self, step: int) -> None:
        """The checkpoint of `step`, or what was begun of it."""
        with writing(f"{self.root}/{_name(step)}"):
            self.fs.delete_dir(f"{self.root}/{_name(step)}")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """One JSON file of the run; None when it is missing or damaged. Raises Unreadable."""
        try:
            value = json.loads(self._read(name) or b"null")
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


def _size(count: int) -> str:
    """So many bytes, in the largest unit of which there is at least one: a small run needs no 0.0 GB."""
    power = min(len(UNITS) - 1, max(0, (len(str(count)) - 1) // 3))
    return f"{count / 1000**power:.1f} {UNITS[power]}"


def _name(step: int) -> str:
    return f"step_{step:08d}"
