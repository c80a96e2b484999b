"""Runs whose process has ended without a word, a killed one, are RUNNING in MLflow until somebody says otherwise."""

import socket
from pathlib import Path

import psutil
from mlflow import MlflowClient

PROCESS = "process"
"""Tag of a run: which process trains it, as `this_process` names it."""
PAGE = 1000


def this_process() -> str:
    """Host, number and time of beginning of this process: no other has all three."""
    return f"{socket.gethostname()} {psutil.Process().pid} {psutil.Process().create_time():.2f}"


def alive(process: str) -> bool:
    """Whether a process of this name runs; of another host's it is not known, and said to be so."""
    host, number, began = process.rsplit(" ", 2)
    if host != socket.gethostname():
        return True
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" == began
    except psutil.Error:
        return False


def end_interrupted(store: MlflowClient, checkout: Path) -> list[str]:
    """Mark the runs of this checkout whose process is no longer alive as interrupted. Returns their names."""
    experiments = [one.experiment_id for one in store.search_experiments()]
    quote = '"' if "'" in str(checkout) else "'"
    running = f"attributes.status = 'RUNNING' and tags.checkout = {quote}{checkout}{quote}"
    ended = []
    for run in store.search_runs(experiments, running, max_results=PAGE) if experiments else []:
        process = run.data.tags.get(PROCESS)
        if process is not None and not alive(process):
            store.set_tag(run.info.run_id, "outcome", "interrupted")
            store.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.data.tags["run"])
    return ended
