"""What is said and left behind when training ends, whoever ends it; no Ray is started."""

import dataclasses
import errno
import importlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray.exceptions
import ray.train
import torch
import torch.multiprocessing

from gen.config.params import Run
from gen.data.dataset import Dataset
from gen.family import Noise
from gen.training.journal import NullCallback
from gen.training.scores import Coordinates
from gen.training.storage import Unreadable, Unwritable, named
from gen.training.workers import SINGLE_PROCESS, Workers
from pipelines.runtime import fit, waiting, worker
from pipelines.runtime.mailbox import Ended, Mailbox
from pipelines.runtime.worker import Job, MailboxCallback
from tests.families.small import POINTS
from tests.training.tiny import logging, run_of


def job(folder: Path, run: Run) -> Job:
    """Of data that are not there."""
    return Job(
        run=run,
        name="ring",
        data=folder / "nowhere",
        reference=folder,
        score_samples=8,
        score_every=1,
        logging=logging(),
        storage=str(folder / "storage"),
        identity="0" * 64,
        mailbox=None,
    )


class Context:
    """Of Ray Train's second worker."""

    def get_world_rank(self) -> int:
        return 1

    def get_world_size(self) -> int:
        return 2


@pytest.mark.parametrize("outcome", ["refused", "finished", "diverged"])
def test_any_worker_tells_that_it_was_refused(outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Ended] = []
    monkeypatch.setattr(ray.train, "get_context", Context)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(worker.MailboxCallback, "ended", lambda callback, ended: told.append(ended))
    if outcome != "refused":
        monkeypatch.setattr(worker, "run_job", lambda *arguments: Ended(outcome))
    worker.work({"job": job(tmp_path, run_of("gan"))})
    assert [ended.outcome for ended in told] == ["refused"] * (outcome == "refused")
    assert all("nowhere/MANIFEST.json: missing" in ended.reason for ended in told)


def failing(error: Exception) -> Callable[..., None]:
    def train(*arguments: Any, **others: Any) -> None:
        raise error

    return train


def test_an_error_in_a_family_is_told_with_its_line_and_kept_whole(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prior(family: Any, noise: Noise) -> torch.Tensor:
        return torch.ones(3, 4) @ torch.ones(3, 4)

    monkeypatch.setattr(importlib.import_module("gen.families.gan").Model, "prior", prior)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(worker, "score_for", lambda job: Coordinates())
    mine = dataclasses.replace(job(tmp_path, run_of("gan", POINTS)), data=datasets["ring8"].folder)
    ended = worker.run_job(mine, NullCallback(), SINGLE_PROCESS)
    kept = tmp_path / "storage" / f"ring-{'0' * 16}" / "traceback.txt"
    assert ended.outcome == "broken"
    assert re.fullmatch(
        r"RuntimeError: mat1 and mat2 shapes cannot be multiplied \(3x4 and 3x4\); gen/families/gan.py:\d+ in sample: "
        rf"`return self.decode\(self.prior\(noise\)\)`; whole traceback: {kept}",
        ended.reason,
    )
    assert kept.read_text() == ended.traceback
    assert "in prior" in ended.traceback


def test_only_what_can_pass_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(worker, "open_dataset", lambda folder: None)
    monkeypatch.setattr(worker, "score_for", lambda job: None)
    mine = job(tmp_path, run_of("gan"))
    for error in (
        OSError(errno.EIO, "input/output error"),
        Unwritable("cluster.storage: bucket/run: cannot be written (slow down)"),
        ray.exceptions.RayError("lost"),
        torch.AcceleratorError("ECC error"),
    ):
        monkeypatch.setattr(worker, "train", failing(error))
        with pytest.raises(type(error)):
            worker.run_job(mine, NullCallback(), SINGLE_PROCESS)
    for error in (
        OSError(errno.ENOSPC, "disk full"),
        KeyError("generator"),
        ZeroDivisionError(),
        torch.OutOfMemoryError("CUDA out of memory"),
    ):
        monkeypatch.setattr(worker, "train", failing(error))
        ended = worker.run_job(mine, NullCallback(), SINGLE_PROCESS)
        assert (ended.outcome, type(error).__name__ in ended.reason) == ("broken", True)
        assert "\n" not in ended.reason
    assert "lower batch" in ended.reason
    forbidden = named(Unreadable, "/storage/run: cannot be read", PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(worker, "train", failing(forbidden))
    ended = worker.run_job(mine, NullCallback(), SINGLE_PROCESS)
    assert ended == Ended("refused", "cluster.storage: /storage/run: cannot be read ([Errno 13] Permission denied)")
    ended = worker.run_job(dataclasses.replace(mine, host="elsewhere"), NullCallback(), SINGLE_PROCESS)
    assert ended.reason.endswith(f"Permission denied) (on the host {socket.gethostname()})")


def test_what_ray_puts_before_a_message_is_left_out() -> None:
    told = "cluster.storage: /storage/run: cannot be read"
    for name, message in (
        ("gen.training.storage.Unreadable", told),
        ("OSError", f"OSError: {told}"),
        ("pyarrow.lib.ArrowInvalid", f"ArrowInvalid: {told}"),
    ):
        assert fit.reason_of(RuntimeError(f"Traceback\n{name}: {told}")) == message


def test_a_familys_own_error_of_a_file_is_not_tried_again(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A latent that is read of a file which is not there: the family's own file calls what fails."""
    monkeypatch.setattr(
        importlib.import_module("gen.families.gan").Model, "prior", lambda family, noise: torch.load(tmp_path / "none")
    )
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(worker, "score_for", lambda job: Coordinates())
    mine = dataclasses.replace(job(tmp_path, run_of("gan", POINTS)), data=datasets["ring8"].folder)
    ended = worker.run_job(mine, NullCallback(), SINGLE_PROCESS)
    assert ended.outcome == "broken"
    assert ended.reason.startswith("FileNotFoundError: ")
    assert "gen/families/gan.py:" in ended.reason


def test_a_lost_worker_is_tried_again_by_those_that_waited_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gloo's own error, of a worker that has ended."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    torch.multiprocessing.spawn(bereft, (tmp_path,), nprocs=2)
    assert (tmp_path / "passed").read_text() == "True"


def bereft(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    Workers(rank, 2).average([torch.ones(3)])
    if rank == 1:
        os._exit(0)
    try:
        Workers(rank, 2).average([torch.ones(3)])
    except Exception as error:
        (folder / "passed").write_text(str(worker.can_pass(error, folder)))


def test_want_of_memory_is_told_with_how_much_was_used() -> None:
    """As Ray 2.60 words it."""
    message = """Training failed due to worker errors:
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: 88c3d1b3) was \
3.58GB used / 23.54GB limit (0.152055)
OOM kill reason: Memory usage 3835088896B exceeded threshold of 505530272B (2.0% of 25276514304B limit)
Ray killed 1 worker(s) based on the killing policy
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/en/latest/debug-memory.html."""
    told = fit.reason_of(RuntimeError(message))
    assert told.startswith("memory ran out on a worker's machine (3.58GB of 23.54GB were in use)")
    assert "lower batch" in told
    assert "http" not in told


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_the_system_kills_is_told_with_the_memory_in_use() -> None:
    @ray.remote(max_retries=0)
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ray.exceptions.WorkerCrashedError) as caught:
        ray.get(killed.remote())
    told = fit.reason_of(caught.value)
    assert re.match(r"its process was killed, as a system without memory does \([\d.]+ of [\d.]+ GiB of this", told)
    assert "lower batch" in told
    assert "raise compute.grad_accum_steps" in told


@pytest.mark.usefixtures("cluster")
def test_a_hung_worker_does_not_keep_a_stop_from_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(job: Any) -> None:
        MailboxCallback(job.mailbox).metrics(1, {"loss": 0.5})
        while not (tmp_path / "enough").exists():
            time.sleep(0.1)

    monkeypatch.setattr(worker, "work_alone", hang)
    monkeypatch.setattr(waiting, "SAVE_SECONDS", 2.0)
    mailbox, stop = Mailbox(), threading.Event()
    posted = dataclasses.replace(job(tmp_path, run_of("gan")), mailbox=mailbox.handle)
    heard: list[int] = []

    class Listener:
        def metrics(self, step: int, values: Mapping[str, float]) -> None:
            heard.append(step)
            stop.set()

        def grid(self, step: int, name: str, picture: bytes) -> None:
            pass

    work = fit.fit(posted, 0, "cpu")
    ended = fit.follow(mailbox, work, [Listener()], stop)
    assert not work.is_alive(), "when a stage leaves Ray, nobody may still wait there: Ray would end the process"
    (tmp_path / "enough").touch()
    assert heard == [1]
    assert ended.outcome == "stopped"
    assert re.fullmatch(r"without an answer of its workers for 2 s; what was saved before is kept", ended.reason)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_one_of_two_workers_that_is_refused_is_not_waited_for_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_is_refused(config: dict[str, Job]) -> None:
        from pipelines.runtime import worker  # in Ray's process, as it stands

        def run_job(job: Job, callback: object, workers: Workers) -> Ended:
            if workers.rank == 1:
                return Ended("refused", "no data here")
            workers.average([torch.ones(3)])
            return Ended("finished")

        worker.run_job = run_job  # type: ignore[assignment]
        worker.work(config)

    monkeypatch.setattr(worker, "work", one_is_refused)
    mailbox = Mailbox()
    posted = dataclasses.replace(job(tmp_path, run_of("gan", workers=2)), mailbox=mailbox.handle)
    together = fit.fit(posted, 2, "cpu")
    started = time.monotonic()
    ended = fit.follow(mailbox, together, [], threading.Event())
    assert ended == Ended("refused", "no data here")
    assert time.monotonic() - started < 50, "Ray Train has ended by itself"
    assert not together.is_alive()


def test_rays_folder_of_an_object_store_keeps_the_options_of_its_address() -> None:
    assert fit.of_ray("s3://bucket/a?region=eu") == "s3://bucket/a/ray?region=eu"
    assert fit.of_ray("/storage") == "/storage/ray"


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_ray_stays_in_the_storage(fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trainer:
        def __init__(self, *arguments: Any, run_config: Any, **others: Any) -> None:
            self.folder = Path(run_config.storage_path, run_config.name)

        def fit(self) -> None:
            self.folder.mkdir(parents=True)
            (self.folder / "checkpoint_manager_snapshot.json").touch()
            if fails:
                raise RuntimeError("a worker died\nthe second time")

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    another = tmp_path / "storage/ray/other-12345678"
    another.mkdir(parents=True)
    ended = fit.Together(job(tmp_path, run_of("gan")), 0, "cpu")
    ended.run()
    assert ended.reason == ("the second time" if fails else "")
    assert [*another.parent.iterdir()] == [another]
