"""A real MLflow server, and facts of a run to be told to it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen.config.params import Run
from gen.data.dataset import Dataset
from pipelines.tracking.facts import Facts, facts_of


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """A real MLflow server."""
    command = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--port", str(port)]
    files = ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def facts(run: Run, dataset: Dataset) -> Facts:
    return facts_of(run, "ring", dataset, identity="ab" * 32, attempt="first", storage="/storage", device="cpu")
