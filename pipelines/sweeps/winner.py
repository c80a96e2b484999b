"""What the first point of a sweep is worth anew, and what real images have of the sweep's metric.

Each trial counts with the best of its evaluations, and the first point is the best of all: chance has helped it. So its
models, each trial's best checkpoint as a run exports it, are scored once more, with noise that chose nothing, against
the test split, which chose nothing either. A family's own loss on held-out images is taken of the test split's, and has
no floor. An Inception, which trials are scored by rounded to bfloat16, is exact here.
"""

from functools import partial
from math import isfinite

import torch

from gen.abilities import Conditional, HeldOutLoss, Samples, streams_of
from gen.conditions import draw, told
from gen.config.consistency import trial_run
from gen.config.extractors import ROUNDED
from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.evaluation.reference import Reference
from gen.extractors import AT_ONCE
from gen.family import Noise
from gen.metrics.neighbours import spans
from gen.training.loop import finished_family
from gen.training.score_floor import Floor, floors, judge
from gen.training.scores import own_loss
from pipelines.runtime.jobs import open_inputs
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.search import Trial

SECTION = "validation/"
SPLIT = "test"


def full_reference(dataset: Dataset, scoring: Reference) -> Reference:
    """All splits of the real images by the extractor that trials are scored by, of which these know the validation's.

    Raises:
        InputError: it is missing or damaged, or of other data.
    """
    return open_inputs(dataset.name, scoring.name.removesuffix(ROUNDED))[1]


def score_name(metric: str) -> str | None:
    """What gen/training/scores.py calls a metric of a sweep; None of a loss."""
    return metric.removeprefix(SECTION).removesuffix(ROUNDED) if metric.startswith(SECTION) else None


def floor_of(plan: Plan, reference: Reference) -> Floor | None:
    """Of the sweep's metric; None of a loss, which real images have none of, or where too few are held out."""
    name = score_name(plan.sweep.metric)
    if name is None:
        return None
    return floors(plan.inputs[0], reference, plan.score_samples, plan.params.run(plan.sweep.run).seed).get(name)


@torch.inference_mode()
def scored_anew(plan: Plan, reference: Reference, one: Trial) -> float | None:
    """The sweep's metric of a trial's best checkpoint against the test split; its noise has drawn nothing before.

    None of a loss in training, of a family that does not sample, and where the test split has no images, the checkpoint
    is gone or what it makes is not finite.
    """
    checkpoints, dataset, name = plan.checkpoints(one), plan.inputs[0], score_name(plan.sweep.metric)
    run = trial_run(plan.params, plan.name, one.values, one.seed)
    last = checkpoints.newest()
    if name is None or last is None or not dataset.rows.get(SPLIT):
        return None
    state = checkpoints.at(last["best"][0]) if last["best"] else None
    device = torch.device(plan.device if plan.device != "cuda" or torch.cuda.is_available() else "cpu")
    family = finished_family(run, dataset, state or last).to(device)
    loader = partial(
        Loader,
        dataset,
        SPLIT,
        seed=run.seed,
        resolution=run.resolution,
        device=device,
        streams=streams_of(family),
    )
    if isinstance(family, HeldOutLoss):
        count = min(plan.score_samples, dataset.rows[SPLIT])
        batch = loader(batch_size=count)[0]
        parts = (batch.rows(some) for some in spans(count, AT_ONCE))
        found = own_loss(family, parts, count, partial(Noise, run.seed, "sweep test", device=device))
        return found if isfinite(found) else None
    scoring = judge(dataset, reference, SPLIT, plan.score_samples, run.seed)
    if scoring is None or not isinstance(family, Samples):
        return None
    extract = reference.extract.to(device)
    condition = None
    if isinstance(family, Conditional):
        condition = told(family, loader(batch_size=scoring.samples)[0])
    seen = []
    for rows in spans(scoring.samples, AT_ONCE):
        noise = Noise(run.seed, "sweep test", rows=scoring.samples, take=rows, device=device)
        images = draw(family, noise, condition and condition.rows(rows))
        if not bool(images.isfinite().all()):
            return None
        seen.append(extract(images.float()).features.cpu())
    return scoring.score(torch.cat(seen)).get(name)
