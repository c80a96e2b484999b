"""Faults of one of two nodes."""

import subprocess
import sys

from tests.faults.matrix import fault
from tests.faults.place import STEPS, Failed
from tests.faults.workers import TwoWorkers
from tests.pipelines.conftest import ring_run

NODES = """
import os, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
first, second = nodes.add_node(num_cpus=1), nodes.add_node(num_cpus=1)
os.environ["RAY_ADDRESS"] = nodes.address
stage = subprocess.Popen([Path(sys.executable).with_name("gen"), "train", "ring"])
for line in sys.stdin:
    if line == "kill\\n":
        nodes.remove_node(second, allow_graceful=False)
    if line == "add\\n":
        nodes.add_node(num_cpus=1)
sys.exit(stage.wait())
"""


@fault("one of two nodes killed, and another joins 3 s later", TwoWorkers, trials=2)
def node_killed(place: TwoWorkers) -> str:
    place.environment.pop("RAY_ADDRESS")
    place.write(ring=ring_run(steps=STEPS, workers=2))
    process = subprocess.Popen(
        [sys.executable, "-c", NODES],
        cwd=place.folder,
        env=place.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    place.moment(process)
    place.hurt()
    process.stdin.write("kill\n")
    process.stdin.flush()
    place.pause(3.0, 3.0)
    process.stdin.write("add\n")
    process.stdin.flush()
    text = place.ends(process, 0)
    if f"step {STEPS}/{STEPS}" not in text:
        raise Failed("it does not say that it came to its end")
    return "goes on by itself once there are two again"
