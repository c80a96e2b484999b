"""kill -9 at every point at which a checkpoint is written: the run goes on to the same bits."""

import hashlib
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from gen.data.dataset import Dataset, open_dataset
from gen.family import ImageShape
from gen.training.checkpoint import Checkpoints
from gen.training.train import train
from tests.families.small import forms
from tests.training.tiny import logging, run_of

PUTS = 5
"""Files written by a run of 8 steps with checkpoints at 4 and 8: run.json, and two for each checkpoint."""
MOMENTS = ("before", "within", "after")
Death = tuple[int, str]
"""Number of the file at which the process dies, and at which of the MOMENTS."""
NEVER: Death = (0, "")
spawning = multiprocessing.get_context("forkserver")
# Imported once, not in every process; torch itself imports the second when an optimizer is made.
spawning.set_forkserver_preload(["gen.training.train", "torch._dynamo"])


class Deadly(Checkpoints):
    """Kills its own process at the n-th file it writes, before, in the middle of, or after writing it."""

    def __init__(self, storage: str, run: str, death: Death) -> None:
        super().__init__(storage, run, "0" * 64)
        self.left, self.moment = death

    def put(self, name: str, content: bytes) -> None:
        self.left -= 1
        if self.left == 0 and self.moment == "within":
            path = Path(self.root) / f"{name}.partial"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[: len(content) // 2])
        if self.left == 0 and self.moment != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        super().put(name, content)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def trained(family: str, image: ImageShape, data: Path, storage: Path, death: Death) -> None:
    """A whole run in a process of its own; leaves the digest of its weights."""
    torch.set_num_threads(1)
    checkpoints = Deadly(str(storage), family, death)
    run = run_of(family, image)
    checkpoints.begin(run.steps, fresh=False)
    model = train(run, open_dataset(data), logging=logging(), checkpoints=checkpoints)
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values()))
    (storage / "digest").write_text(digest.hexdigest())


def finished(family: str, image: ImageShape, data: Path, storage: Path, death: Death = NEVER) -> int | None:
    process = spawning.Process(target=trained, args=(family, image, data, storage, death))
    process.start()
    process.join()
    return process.exitcode


def check(family: str, image: ImageShape, data: Path, folder: Path) -> None:
    (folder / "whole").mkdir()
    assert finished(family, image, data, folder / "whole") == 0
    expected = (folder / "whole" / "digest").read_text()
    for nth in range(1, PUTS + 1):
        for moment in MOMENTS:
            storage = folder / f"{nth}-{moment}"
            storage.mkdir()
            assert finished(family, image, data, storage, (nth, moment)) == -signal.SIGKILL
            assert not (storage / "digest").exists()
            assert finished(family, image, data, storage) == 0
            assert (storage / "digest").read_text() == expected, (nth, moment)


@pytest.mark.slow
def test_killed_at_every_write(datasets: dict[str, Dataset], tmp_path: Path) -> None:
    check("gan", ImageShape(2, 1, 1), datasets["ring8"].folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "image"), forms())
def test_every_family_killed_at_every_write(
    family: str, image: ImageShape, datasets: dict[str, Dataset], tmp_path: Path
) -> None:
    check(family, image, datasets[run_of(family, image).dataset].folder, tmp_path)
