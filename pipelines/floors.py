"""The floor of all that is shown of a data set's models: the same numbers of held-out real data."""

from collections.abc import Sequence

import torch

from gen.config import Reference as Section
from gen.data.dataset import Dataset
from gen.metrics.evaluation import over_seeds
from gen.metrics.floor import floor
from gen.metrics.modes import coverage
from gen.metrics.reference import Reference, images
from gen.score_floor import floors

DRAWS = 10
"""How many times real data are measured as if they were samples, for the spread of their numbers."""
Floors = dict[str, dict[str, float]]
"""By metric: mean, sd_draws, and how many real images stood for samples."""


def metric_floors(dataset: Dataset, section: Section, references: Sequence[Reference]) -> Floors:
    """Those of evaluate@: of the validation split, by every extractor.

    The modes of a mixture are looked for in blocks of training points, which are as new to the mixture as any others.
    """
    found: Floors = {}
    for reference in references:
        for name, one in floor(reference, section.samples, DRAWS).items():
            found[name] = {"mean": one.mean, "sd_draws": one.sd, "images": one.images}
    if (mixture := dataset.mixture) is not None and dataset.rows["train"] >= section.samples:
        points = torch.cat(list(images(dataset, "train", None))).flatten(1)
        blocks = torch.split(points, section.samples)[: min(DRAWS, len(points) // section.samples)]
        for name, measured in over_seeds([coverage(block, *mixture) for block in blocks]).items():
            found[name] = {"mean": measured.mean, "sd_draws": measured.sd, "images": section.samples}
    return found


def score_floors(dataset: Dataset, section: Section, reference: Reference) -> Floors:
    """Those of the scores that checkpoints are chosen by, with the data set's first extractor."""
    return {
        name: {"mean": one.mean, "sd_draws": one.sd or 0.0, "images": one.samples}
        for name, one in floors(dataset, reference, section.score_samples, seed=0).items()
    }
