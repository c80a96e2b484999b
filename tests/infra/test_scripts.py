"""The scripts of infra/, linted and really run: two machines by ssh, and an allocation of SLURM that is preempted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.infra.manifests import INFRA, ROOT, tracked
from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import ring_run
from tests.services import sshd

BIN = Path(sys.executable).parent


def test_shell_scripts_pass_their_linter() -> None:
    scripts = [file for file in tracked("infra") if file.read_bytes().startswith(b"#!/usr/bin/env bash")]
    assert len(scripts) == 2
    scripts.append(ROOT / ".ci/run")
    done = subprocess.run([BIN / "shellcheck", *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_how_the_ssh_script_is_used_is_said() -> None:
    done = subprocess.run([INFRA / "ssh-cluster.sh", "up", "10.0.0.1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "infra/ssh-cluster.sh up <address of this machine> <host>..." in done.stderr


def command(path: Path, text: str) -> None:
    """A program of that name and text."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout that has built what its run needs, without a Ray."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    made = Checkout(folder, "")
    (folder / ".venv").symlink_to(BIN.parent)
    # Ray sets it in a process that has started one, as tests before this do.
    made.environment.pop("RAY_AUTH_MODE", None)
    made.environment |= {"RAY_ADDRESS": "", "HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:{made.environment['PATH']}"}
    made.write(ring_gan=ring_run("gan", steps=2000, workers=2))
    made.commit()
    made.dvc("repro", "reference@ring8")
    return made


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_machines_by_ssh(checkout: Checkout, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    with sshd(keys) as port:
        options = f"-i {keys}/user -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile={keys}/known"
        command(tmp_path / "bin/ssh", f'exec /usr/bin/ssh {options} 127.0.0.1 "${{@:2}}"')
        script = [checkout.folder / "infra/ssh-cluster.sh"]

        def run(*words: str) -> str:
            return subprocess.run(
                [*script, *words], env=checkout.environment, capture_output=True, text=True, check=True
            ).stdout

        try:
            assert "2 machines; now: export RAY_AUTH_MODE=token RAY_ADDRESS=127.0.0.1:6379\n" in run(
                "up", "127.0.0.1", "other"
            )
            assert (tmp_path / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
            checkout.environment["RAY_ADDRESS"] = "127.0.0.1:6379"
            stranger = subprocess.run(
                [BIN / "gen", "train", "ring_gan"],
                cwd=checkout.folder,
                env=checkout.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert stranger.stderr.startswith(
                "error: the Ray at 127.0.0.1:6379 wants its token; set RAY_AUTH_MODE=token"
            )
            checkout.environment["RAY_AUTH_MODE"] = "token"
            assert checkout.repro("train@ring_gan")[-1] == "train@ring_gan"
        finally:
            run("down", "other")
    assert checkout.tracked("ring_gan")[0].info.status == "FINISHED"
    nodes = [
        line
        for line in subprocess.run(
            ["ps", "axo", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if f"{checkout.folder}/.venv" in line and "raylet" in line
    ]
    assert nodes == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_slurm_job_that_is_preempted_saves_queues_again_and_goes_on(checkout: Checkout, tmp_path: Path) -> None:
    command(tmp_path / "bin/srun", 'while [[ $1 == --* ]]; do shift; done\nexec "$@"')
    queued = tmp_path / "queued"
    command(tmp_path / "bin/scontrol", f'[[ $1 == show ]] && printf "localhost\\nlocalhost\\n" || echo "$@" >>{queued}')
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_CPUS_PER_TASK": "1"}
    params = checkout.folder / "params.yaml"
    values = yaml.safe_load(params.read_text())
    values["logging"]["checkpoint_every"] = 200
    params.write_text(yaml.safe_dump(values))
    log = tmp_path / "slurm.log"

    def start() -> "subprocess.Popen[bytes]":
        batch = ["bash", checkout.folder / "infra/slurm/gen.sbatch", "train@ring_gan"]
        with log.open("ab") as output:
            return subprocess.Popen(
                batch, cwd=checkout.folder, env=checkout.environment | job, stdout=output, stderr=output
            )

    first = start()
    end = time.monotonic() + 200
    while not list(checkout.folder.glob("storage/ring_gan-*/step_*/manifest.json")):
        assert first.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert first.wait(90) != 0, log.read_text()
    assert queued.read_text() == f"requeue {os.getpid()}\n"
    assert not (checkout.folder / "models/toys/ring_gan/model.json").exists()
    assert "asked to stop; it saves a checkpoint first" in log.read_text()
    assert checkout.tracked("ring_gan")[0].info.status == "KILLED"

    assert start().wait(300) == 0, log.read_text()
    assert queued.read_text().count("\n") == 1
    (tracked_run,) = checkout.tracked("ring_gan")
    assert tracked_run.info.status == "FINISHED", "it is the same run"
