"""What a stage finds out about the DVC that runs it. DVC tells its stages nothing, so the process tree is read."""

import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK_SECONDS = 0.5


class Above(NamedTuple):
    """A DVC above this process."""

    dvc: psutil.Process
    words: list[str]
    """Its arguments, without the interpreter and `dvc` itself."""
    child: psutil.Process
    """What DVC started: this process, or a shell between, as not every `sh -c` becomes the command it runs."""

    def gone(self) -> bool:
        """Whether DVC has ended: what it started then has another parent, or has ended too."""
        try:
            return bool(self.child.ppid() != self.dvc.pid)
        except psutil.Error:
            return True


def above() -> Above | None:
    """The nearest DVC among the processes above this one."""
    this = psutil.Process()
    for child, parent in pairwise([this, *this.parents()]):
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        named = [position for position, word in enumerate(words[:3]) if Path(word).name == "dvc"]
        if named:
            return Above(parent, words[named[-1] + 1 :], child)
    return None


def forced() -> bool:
    """Whether a `dvc repro --force` (or `dvc exp run --force`) started this process."""
    found = above()
    return found is not None and any(
        word == "--force" or (word.startswith("-") and not word.startswith("--") and "f" in word)
        for word in found.words
    )


def end_with_dvc() -> None:
    """Send this process SIGTERM when the DVC above it has ended; DVC leaves its stages alive when it is terminated."""
    found = above()
    if found is not None:
        threading.Thread(target=_watch, args=(found,), daemon=True).start()


def _watch(found: Above) -> None:
    while not found.gone():
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
