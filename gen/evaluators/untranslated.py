"""The distance of what a family is given to translate, as it is: what a translation has to be below."""

import torch

from gen.evaluation.sampling import SPLIT, chunks
from gen.evaluators import Number, Subject
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments

NUMBERS = {
    "input_fid": Number(
        "smaller", "FID of what is given, without any model, against test images: nothing is won above it."
    ),
}


def of_weights(subject: Subject) -> dict[str, float]:
    """By each extractor; nothing of a family that translates no pictures."""
    pictures, channels = subject.sampler.given, subject.dataset.shape.channels
    if pictures is None:
        return {}
    found = {}
    for reference in subject.references:
        seen = []
        for rows in chunks(subject.samples):
            condition = subject.sampler.condition(rows)
            assert condition is not None
            images = condition.extras[pictures.name]
            seen.append(reference.extract(images.expand(-1, channels, -1, -1)).features)
        distance, _ = frechet_distance(reference.moments[SPLIT], moments(gather(torch.cat(seen))))
        found[f"input_fid_{reference.name}"] = distance
    return found
