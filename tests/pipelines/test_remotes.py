"""DVC's remotes: what was built is pushed, and a fresh clone that pulls it has nothing to build."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import ring_run
from tests.services import BUCKET, KEYS, s3, sshd

BUILT = ("code", "fetch@ring8", "prepare@ring8", "reference@ring8", "train@ring_gan")


@contextmanager
def on_s3(folder: Path) -> Iterator[dict[str, str]]:
    with s3(folder) as port:
        yield {"url": f"s3://{BUCKET}/dvc", "endpointurl": f"http://127.0.0.1:{port}"}


@contextmanager
def by_ssh(folder: Path) -> Iterator[dict[str, str]]:
    with sshd(folder) as port:
        user = os.environ.get("USER", "root")
        yield {"url": f"ssh://{user}@127.0.0.1:{port}{folder}/remote", "keyfile": f"{folder}/user"}


@pytest.mark.slow
@pytest.mark.parametrize("remote", [on_s3, by_ssh])
def test_a_clone_that_pulls_is_up_to_date(remote: object, tmp_path: Path, cluster: str) -> None:
    first, second, there = (tmp_path / name for name in ("first", "second", "there"))
    first.mkdir()
    there.mkdir()
    checkout = Checkout(first, cluster)
    checkout.environment |= KEYS
    checkout.write(ring_gan=ring_run("gan", steps=100))
    checkout.repro("train@ring_gan")
    weights = checkout.weights("ring_gan")
    with remote(there) as options:  # type: ignore[operator]
        checkout.dvc("remote", "add", "--default", "shared", options.pop("url"))
        for name, value in options.items():
            checkout.dvc("remote", "modify", "shared", name, value)
        checkout.commit()
        assert "files pushed" in checkout.dvc("push", *BUILT)
        subprocess.run(["git", "clone", "-q", first, second], check=True)
        clone = Checkout.__new__(Checkout)
        clone.folder, clone.environment = second, checkout.environment | {"PYTHONPATH": str(second)}
        clone.dvc("pull", *BUILT)
    assert clone.weights("ring_gan") == weights
    assert "up to date" in clone.dvc("repro", "train@ring_gan")
