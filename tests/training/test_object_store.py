"""Checkpoints in an S3 store, over HTTP, with its faults: 503s, and connections that drop in the middle."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.training.checkpoint import Checkpoints
from gen.training.train import train
from tests.services import BUCKET, KEYS, s3
from tests.training.faulty_s3 import FaultyS3, faulty
from tests.training.tiny import logging, run_of


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with s3(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def store(behind: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with faulty(behind) as proxy:
        yield proxy


def address(proxy: FaultyS3, folder: str) -> str:
    return f"s3://{BUCKET}/{folder}?scheme=http&endpoint_override=127.0.0.1:{proxy.server_port}"


def trained(storage: str, data: Dataset) -> str:
    """A digest of the weights of a short run with checkpoints there."""
    run = run_of("gan")
    checkpoints = Checkpoints(storage, "gan", "0" * 64)
    checkpoints.begin(run.steps, fresh=False)
    model = train(run, data, logging=logging(), checkpoints=checkpoints)
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest()


@pytest.mark.parametrize("fault", ["", "503", "drop"])
def test_a_store_that_falters_costs_nothing(
    store: FaultyS3, datasets: dict[str, Dataset], tmp_path: Path, fault: str
) -> None:
    seen: dict[str, int] = {}

    def first_time(method: str, path: str) -> str:
        seen[f"{method} {path}"] = seen.get(f"{method} {path}", 0) + 1
        return fault if seen[f"{method} {path}"] == 1 and method in ("PUT", "GET") else ""

    store.fault = first_time
    place = address(store, f"falters-{fault or 'not'}")
    assert trained(place, datasets["ring8"]) == trained(str(tmp_path), datasets["ring8"])
    assert (store.faults > 5) == bool(fault)
    kept = Checkpoints(place, "gan", "0" * 64)
    assert kept.vouched() == Checkpoints(str(tmp_path), "gan", "0" * 64).vouched()
    state = kept.newest()
    assert state is not None
    assert state["steps_done"] == run_of("gan").steps


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["503", "drop"])
def test_an_outage_is_named_and_what_was_saved_is_gone_on_from(
    store: FaultyS3, datasets: dict[str, Dataset], tmp_path: Path, fault: str
) -> None:
    place = address(store, f"outage-{fault}")
    last = run_of("gan").steps
    store.fault = lambda method, path: fault if method in ("PUT", "POST") and f"step_{last:08d}" in path else ""
    began = time.monotonic()
    with pytest.raises((OSError, InputError), match=r"cluster\.storage: .*cannot be written"):
        trained(place, datasets["ring8"])
    assert time.monotonic() - began < 60
    kept = Checkpoints(place, "gan", "0" * 64)
    (before,) = kept.vouched()
    assert before < last
    store.fault = lambda method, path: ""
    assert trained(place, datasets["ring8"]) == trained(str(tmp_path), datasets["ring8"])


def test_a_store_that_refuses_is_named_without_its_key(store: FaultyS3) -> None:
    checkpoints = Checkpoints(
        f"s3://AKIA:s3cret@no-such-bucket/x?scheme=http&endpoint_override=127.0.0.1:{store.server_port}",
        "gan",
        "0" * 64,
    )
    with pytest.raises(OSError, match=r"cluster\.storage: .*no-such-bucket") as raised:
        checkpoints.put("run.json", b"{}")
    assert "s3cret" not in str(raised.value)
