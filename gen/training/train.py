"""The one loop every family is trained by. Plain torch: no Ray, no tracking, no DVC.

    model = train(run, open_dataset(Path("data/prepared/digits")))
    images = model.sample(Noise(0, rows=64)).detach()

Who runs it passes an Observer to watch it, Checkpoints to be able to go on after a crash, and Workers when several
processes share each batch.
"""

import torch

from gen.config.params import Logging, Run
from gen.data.dataset import Dataset
from gen.family import Family
from gen.training.checkpoint import Checkpoints
from gen.training.journal import Callback, Journal, NullCallback
from gen.training.loop import Loop, initial_family
from gen.training.scores import Score, score_of
from gen.training.workers import SINGLE_PROCESS, Workers

QUIET = Logging(metrics_every=100, grid_every=10**9, checkpoint_every=10**9, keep_checkpoints=1, profile_steps=0)


def pick_device(wanted: str) -> torch.device:
    """The device a run computes on; `auto` is the first of cuda, mps, cpu that is there."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def train(
    run: Run,
    dataset: Dataset,
    *,
    logging: Logging = QUIET,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
    score: Score | None = None,
    workers: Workers = SINGLE_PROCESS,
    dtype: torch.dtype = torch.float32,
) -> Family:
    """Train the run to its last step, from its newest checkpoint if there is one.

    Returns:
        The family on the CPU in evaluation mode, holding its averaged weights where the run asks for an average.

    Raises:
        Diverged: a loss or weight is not finite; checkpoints saved before it stay.
        InputError: the run does not fit the data set, or storage cannot hold its checkpoints.
    """
    device = pick_device(run.compute.device)
    family = initial_family(run, dataset).to(device, dtype)
    loop = Loop(run, family, dataset, workers, dtype)
    journal = Journal(loop, logging, callback or NullCallback(), checkpoints, score or score_of(type(family)))
    journal.open()
    while loop.steps_done < run.steps and not journal.stopped:
        journal.after_step(loop.step(measure=journal.should_log(loop.steps_done + 1)))
    loop.average.swap()
    return family.to("cpu").train(False)
