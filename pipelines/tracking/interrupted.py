"""Runs whose process has ended without a word, a killed one, are RUNNING in MLflow until somebody says otherwise."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import psutil
from mlflow import MlflowClient

PROCESS = "process"
"""Tag of a run: which process trains it, as `this_process` names it."""
PAGE = 1000


def this_process() -> str:
    """Host, process namespace, number and beginning of this process: no other has all four."""
    return f"{socket.gethostname()} {namespace()} {os.getpid()} {began(os.getpid())}"


def namespace() -> str:
    """Of process numbers, which a container has of its own."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return "-"


def began(process: int) -> str:
    """When it did, in ticks since the machine's start: no clock that is set changes them.

    Raises:
        psutil.Error: there is no such process.
    """
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return f"{psutil.Process(process).create_time():.2f}"


def alive(process: str) -> bool:
    """Whether a process of this name runs; of another host's or container's it is not known, and said to be so."""
    host, numbers, number, beginning = process.rsplit(" ", 3)
    if (host, numbers) != (socket.gethostname(), namespace()):
        return True
    try:
        return began(int(number)) == beginning
    except psutil.Error:
        return False


def end_interrupted(store: MlflowClient, checkout: Path) -> list[str]:
    """Mark the runs of this checkout whose process is no longer alive as interrupted. Returns their names."""
    experiments = [one.experiment_id for one in store.search_experiments()]
    quote = '"' if "'" in str(checkout) else "'"
    running = f"attributes.status = 'RUNNING' and tags.checkout = {quote}{checkout}{quote}"
    ended = []
    for found in store.search_runs(experiments, running, max_results=PAGE) if experiments else []:
        run = store.get_run(found.info.run_id)  # it may have been taken up again meanwhile
        process = run.data.tags.get(PROCESS)
        if run.info.status == "RUNNING" and process is not None and not alive(process):
            store.set_tag(run.info.run_id, "outcome", "interrupted")
            store.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.data.tags["run"])
    return ended
