"""What a stage finds out about the DVC that runs it.

DVC names the stage in its environment, but neither says how it was called nor ends its stages when it is terminated:
the process tree tells.
"""

import os
import re
import signal
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK_SECONDS = 0.5
COMMAND = "GEN_COMMAND"
"""Variable of the environment of a fork (forkserver.py): the process that was started as the command that it is."""


class Above(NamedTuple):
    """A DVC above this process."""

    dvc: psutil.Process
    words: list[str]
    """Its arguments, without the interpreter and `dvc` itself; none when a program called its Python interface."""
    child: psutil.Process
    """What DVC started: this process, or a shell between, as not every `sh -c` becomes the command it runs."""

    def gone(self) -> bool:
        """Whether DVC has ended: what it started then has another parent, or has ended too."""
        try:
            return bool(self.child.ppid() != self.dvc.pid)
        except psutil.Error:
            return True


def started_by_dvc() -> bool:
    """Whether this process is a stage that DVC started."""
    return "DVC_STAGE" in os.environ


def home() -> Path:
    """The checkout whose tracking/ and storage/ are used.

    That is the working directory, except in an experiment that DVC runs in a temporary folder, which it removes
    afterwards (`dvc exp run --temp`, or a queued one): there it is the checkout that the experiment was started in.
    """
    return Path(os.environ.get("DVC_ROOT", "") if started_by_dvc() else "").absolute()


def above() -> Above | None:
    """The DVC that started this process; None when it has ended, or when there never was one.

    Raises:
        psutil.NoSuchProcess: one of those above, DVC at the latest, ended meanwhile.
        psutil.Error: the processes above may not be looked at.
    """
    if not started_by_dvc():
        return None
    this = psutil.Process(int(os.environ.get(COMMAND, os.getpid())))
    chain = list(pairwise([this, *this.parents()]))
    for child, parent in chain:
        words = parent.cmdline()
        named = [position for position, word in enumerate(words[:3]) if Path(word).name == "dvc"]
        if named:
            return Above(parent, words[named[-1] + 1 :], child)
    return next((Above(parent, [], child) for child, parent in chain if "python" in parent.name()), None)


def forced() -> bool:
    """Whether a `dvc repro --force` (or `dvc exp run --force`) started this process."""
    with suppress(psutil.Error):
        found = above()
        return found is not None and any(
            word == "--force" or re.match("-[^-Snj]*f", word) is not None  # -sf says it; -Sclip=fff and -nfix do not
            for word in found.words
        )
    return False


def end_with_dvc() -> None:
    """Send this process SIGTERM when the DVC that started it ends, or has ended already."""
    if not started_by_dvc():
        return
    try:
        found = above()
    except psutil.NoSuchProcess:  # one that is ending, or that its parent has not waited for yet
        found = None
    except psutil.Error:
        return
    threading.Thread(target=_watch, args=(found,), daemon=True).start()


def _watch(found: Above | None) -> None:
    while found is not None and not found.gone():
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
