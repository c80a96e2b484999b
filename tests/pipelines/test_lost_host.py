"""A cluster that loses the host a run was on, and has no other."""

import subprocess
import sys

import pytest

from tests.pipelines.conftest import Workplace, ring_run

SCRIPT = """
import os, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
second = nodes.add_node(num_cpus=1)
os.environ["RAY_ADDRESS"] = nodes.address
stage = subprocess.Popen([Path(sys.executable).with_name("gen"), "train", "ring"])
while not list(Path("storage").glob("ring-*/step_*/manifest.json")):
    assert stage.poll() is None
    time.sleep(0.05)
nodes.remove_node(second, allow_graceful=False)
sys.exit(stage.wait())
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_too_few_cpus_are_told_at_once_and_waited_for_a_minute(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=100_000))
    workplace.environment.pop("RAY_ADDRESS")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )
    few = "the run takes 1 CPUs, the cluster has 0 left"
    assert f"ring: {few}; waiting for more, for 60 s at most\n" in done.stdout
    assert done.returncode == 1
    assert f"error: ring: {few}, and no more came in 60 s; start it again once its hosts are back" in done.stderr
