"""A cluster of several hosts: equal to one, one lost, one that does not see what the other has."""

import re
import shutil
import socket
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


SECOND = """
hostname second || exit
ray start --address "$RAY_ADDRESS" --num-cpus 1 --block >&2 &
while read folder; do mount -t tmpfs none $folder; echo hidden; done; wait
"""
TWO_HOSTS = """
import os, subprocess, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
os.environ["RAY_ADDRESS"] = nodes.address
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
apart = ["unshare", "--user", "--map-root-user", "--uts", "--mount", "sh", "-c", sys.argv[1]]
second = subprocess.Popen(apart, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
try:
    ray.init(nodes.address, log_to_driver=False)
    while ray.cluster_resources()["CPU"] < 2:
        assert second.poll() is None
        time.sleep(0.2)
    subprocess.run(["gen", "train", "ring"], check=True)
    for steps, hidden in (400, ("data/prepared", "data/reference")), (600, ("storage",)):
        text = Path("params.yaml").read_text()
        Path("params.yaml").write_text(text.replace(f"steps: {steps - 200}", f"steps: {steps}"))
        for folder in hidden:
            print(folder, file=second.stdin, flush=True)
            second.stdout.readline()
        subprocess.run(["gen", "train", "ring"])
finally:
    os.killpg(second.pid, 9)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_data_travel_to_a_host_without_them_and_storage_has_to_be_seen_by_all(workplace: Workplace) -> None:
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("this system lets nobody have a host of another name and other disks")
    workplace.write(ring=ring_run(steps=200, workers=2))
    workplace.environment.pop("RAY_ADDRESS")
    workplace.environment["XDG_CACHE_HOME"] = str(workplace.folder / "cache")
    done = subprocess.run(
        [sys.executable, "-c", TWO_HOSTS, SECOND],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "step 400/400" in done.stdout, "with copies of what was hidden"
    copies = workplace.folder.glob("cache/gen/files/*/*/")
    assert sorted(copy.name for copy in copies) == ["ring8", "scoring"]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    here = socket.gethostname()
    assert re.search(rf"\(steps (400, 0|0, 400)\).* on the hosts ({here}, second|second, {here})", error)


EACH_ON_ITS_OWN = """
import os, subprocess, sys
from pathlib import Path
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
for _ in range(2):
    nodes.add_node(num_cpus=1)
os.environ["RAY_ADDRESS"] = nodes.address
sys.exit(subprocess.run([Path(sys.executable).with_name("gen"), "train", "ring"]).returncode)
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hosts_train_the_same_weights_as_two_workers_on_one(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=200, workers=2))
    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    weights = workplace.folder / "models/toys/ring/weights.safetensors"
    together = weights.read_bytes()
    shutil.rmtree(workplace.folder / "storage")
    weights.unlink()
    workplace.environment.pop("RAY_ADDRESS")
    command = [sys.executable, "-c", EACH_ON_ITS_OWN]
    apart = subprocess.run(
        command,
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert apart.returncode == 0, apart.stderr
    assert "step 200/200" in apart.stdout
    assert weights.read_bytes() == together
