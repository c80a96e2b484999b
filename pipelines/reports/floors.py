"""The floor of all that is shown of a data set's models: the same numbers of held-out real data."""

from collections.abc import Sequence

from gen.config.params import Reference as Section
from gen.data.dataset import Dataset
from gen.evaluation.floor import floor
from gen.evaluation.reference import Reference
from gen.evaluators import of_data
from gen.training.score_floor import floors

DRAWS = 10
"""How many times real data are measured as if they were samples, for the spread of their numbers."""
Floors = dict[str, dict[str, float]]
"""By metric: mean, sd_draws, and how many real images stood for samples."""


def metric_floors(dataset: Dataset, section: Section, references: Sequence[Reference]) -> Floors:
    """Those of evaluate@: of the validation split by every extractor, and what evaluators know of the data besides."""
    found: Floors = {}
    for reference in references:
        for name, one in floor(reference, section.samples, DRAWS).items():
            found[name] = {"mean": one.mean, "sd_draws": one.sd, "images": one.images}
    for name, known in of_data(dataset, references, section.samples).items():
        found[name] = {"mean": known.mean, "sd_draws": known.sd, "images": section.samples}
    return found


def score_floors(dataset: Dataset, section: Section, reference: Reference) -> Floors:
    """Those of the scores that checkpoints are chosen by, with the data set's first extractor."""
    return {
        name: {"mean": one.mean, "sd_draws": one.sd or 0.0, "images": one.samples}
        for name, one in floors(dataset, reference, section.score_samples, seed=0).items()
    }
