"""What is said and left behind when training ends, whoever ends it; no Ray is started."""

from pathlib import Path
from typing import Any

import pytest
import ray.train
import torch

from gen.config import Run
from pipelines import fit, worker
from pipelines.mailbox import Ended
from pipelines.worker import Job
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
    monkeypatch.setattr(worker.MailboxObserver, "ended", lambda observer, ended: told.append(ended))
    if outcome != "refused":
        monkeypatch.setattr(worker, "perform", lambda *arguments: Ended(outcome))
    worker.work({"job": job(tmp_path, run_of("gan"))})
    assert [ended.outcome for ended in told] == ["refused"] * (outcome == "refused")
    assert all("nowhere/MANIFEST.json: missing" in ended.reason for ended in told)


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

    monkeypatch.setattr(fit, "TorchTrainer", Trainer)
    another = tmp_path / "storage/ray/other-12345678"
    another.mkdir(parents=True)
    ended = fit.Fit(job(tmp_path, run_of("gan")), 0, "cpu")
    ended.run()
    assert ended.reason == ("the second time" if fails else "")
    assert [*another.parent.iterdir()] == [another]
