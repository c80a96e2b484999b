"""Frechet distance of samples and real images (Heusel et al. 2017): FID, where the extractor is the FID Inception."""

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT
from gen.evaluators import Number
from gen.extractors import Extracted
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments

NUMBERS = {
    "fid": Number("smaller", "Distance of the distributions of samples and test images, as Gaussians of features."),
    "singular_covariance": Number(
        "smaller", "1 where FID has too few samples or images for its features.", shown=False
    ),
}


def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """The distance, and whether a covariance was singular: the distance says less then."""
    distance, singular = frechet_distance(reference.moments[SPLIT], moments(gather(seen.features)))
    return {"fid": distance, "singular_covariance": float(singular)}
