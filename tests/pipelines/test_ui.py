"""The pages of MLflow, served for real."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import psutil
import pytest
from mlflow import MlflowClient

from pipelines.ui import pages

CHECKOUT = Path(__file__).parents[2]


def test_each_group_has_its_charts_and_a_sweep_its_newest_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert pages() == {}
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    digits, sweep = (store.create_experiment(name, tmp_path.as_uri()) for name in ("digits", "sweep-clip"))
    store.create_run(digits, run_name="gan")
    trials = []
    for start in (1000, 2000):  # of the earlier sweep nothing is shown
        parent = store.create_run(sweep, start, run_name="clip").info.run_id
        tags = {"mlflow.parentRunId": parent}
        trials = [store.create_run(sweep, start + more, tags).info.run_id for more in (1, 2)]
    found = pages()
    assert found.keys() == {"digits", "sweep-clip"}
    assert found["digits"] == f"experiments/{digits}/runs?workflowType=machine_learning&compareRunsMode=CHART"
    address = urlsplit(found["sweep-clip"])
    asked = {key: json.loads(value) for key, (value,) in parse_qs(address.query).items()}
    assert address.path == "compare-runs"
    assert (sorted(asked["runs"]), asked["experiments"]) == (sorted(trials), [sweep])


def test_it_serves_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "pipelines.ui", "--port", port]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    said = tmp_path / "said"
    with said.open("w") as out:
        ui = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
    try:
        assert b"MLflow" in page(ui, f"http://127.0.0.1:{port}/", said)
        family = psutil.Process(ui.pid).children(recursive=True)
        assert len(family) > 1
        another = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (another.returncode, another.stdout) == (1, "")
        assert another.stderr.startswith(f"error: port {port}: Address already in use; choose another: ")
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(timeout=60)
    assert psutil.wait_procs(family, timeout=30)[1] == []


def page(ui: subprocess.Popen[bytes], address: str, said: Path) -> bytes:
    """What the server answers, once it does."""
    end = time.monotonic() + 120
    while True:
        assert ui.poll() is None, said.read_text()
        assert time.monotonic() < end, said.read_text()
        try:
            with urlopen(address, timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.2)
