"""Whether a model copies training images."""

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT
from gen.evaluators import Number
from gen.extractors import Extracted
from gen.metrics.neighbours import nearest

NUMBERS = {
    "memorised": Number(
        "smaller",
        "Share of samples as near to a training image as the nearest 5% of test images are: about 0.05 for new real "
        "images, more where some samples are copies.",
    ),
}


def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """The share of samples as near to a training image as the nearest 5% of test images are: of new images, 0.05.

    A model that copies training images in a share c of its samples, and is perfect otherwise, has 0.05 + 0.95 c. In the
    extractor's features, of as many samples as the test split has images, and among the training images whose features
    are kept: the first 50,000. Where more of the test images are training images too, new ones have their share.
    """
    few = seen.features[: len(reference.features(SPLIT))]
    near = nearest(few, reference.features("train")).distances <= reference.near
    return {"memorised": float(near.double().mean())}
