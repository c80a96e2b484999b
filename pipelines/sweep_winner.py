"""What the first point of a sweep is worth anew, and what real images have of the sweep's metric.

Each trial counts with the best of its evaluations, and the first point is the best of all: chance has helped it. So its
models, each trial's best checkpoint as a run exports it, are scored once more, with noise that chose nothing, against
the test split, which chose nothing either.
"""

import torch

from gen.family import Noise
from gen.floor import Floor, floors, judge
from gen.metrics.extractors import AT_ONCE
from gen.training import finished_family
from pipelines.search import Trial
from pipelines.sweep_plan import Plan

SECTION = "validation/"
SPLIT = "test"


def floor_of(plan: Plan) -> Floor | None:
    """Of the sweep's metric; None of a loss, which real images have none of, or where too few are held out."""
    metric = plan.sweep.metric
    if not metric.startswith(SECTION):
        return None
    dataset, reference = plan.inputs
    seed = plan.params.run(plan.sweep.run).seed
    return floors(dataset, reference, plan.score_samples, seed).get(metric.removeprefix(SECTION))


@torch.inference_mode()
def scored_anew(plan: Plan, one: Trial) -> float | None:
    """The sweep's metric of a trial's best checkpoint against the test split; its noise has drawn nothing before.

    None of a loss, and where the test split has no images, the checkpoint is gone or its samples are not finite.
    """
    checkpoints, (dataset, reference) = plan.checkpoints(one), plan.inputs
    run = plan.params.trial(plan.name, one.values, one.seed)
    scoring = judge(dataset, reference, SPLIT, plan.score_samples, run.seed)
    last = checkpoints.newest()
    if not plan.sweep.metric.startswith(SECTION) or scoring is None or last is None:
        return None
    state = checkpoints.at(last["best"][0]) if last["best"] else None
    device = torch.device(plan.device if plan.device != "cuda" or torch.cuda.is_available() else "cpu")
    family = finished_family(run, dataset, state or last).to(device)
    extract = reference.extract.to(device)
    images = family.sample(Noise(run.seed, "sweep test", rows=scoring.samples, device=device))
    if not bool(images.isfinite().all()):
        return None
    seen = torch.cat([extract(some.float()).features.cpu() for some in torch.split(images, AT_ONCE)])
    return scoring.score(seen).get(plan.sweep.metric.removeprefix(SECTION))
