"""Samples of a mixture of Gaussians, whose modes are known."""

from gen.abilities import Samples
from gen.evaluators import Number, Subject
from gen.metrics.modes import coverage

NUMBERS = {
    "mode_variation": Number(
        "smaller", "How far the frequencies of modes, and of points of none, are from the mixture's, 0 to 1."
    ),
    "modes_covered": Number("larger", "How many modes have a sample within three standard deviations."),
    "high_quality": Number("larger", "Share of samples that are so near a mode."),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of data that are no mixture, and of a model that does not sample."""
    mixture = subject.dataset.mixture
    if mixture is None or not isinstance(subject.family, Samples):
        return {}
    return coverage(subject.sampler.all(seed, subject.samples).flatten(1), *mixture)
