"""Kernel distance of samples and real images (Binkowski et al. 2018): KID."""

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import KERNEL_SUBSETS, SPLIT
from gen.evaluators import Number
from gen.extractors import Extracted
from gen.metrics.kernel_distance import kernel_distance

NUMBERS = {
    "kid": Number(
        "smaller", "Distance of the distributions by a kernel; its mean does not depend on how many samples."
    ),
    "kid_subset_sd": Number("", "Spread of KID over its subsets.", shown=False),
}


def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """The distance, and its spread over subsets."""
    kernel = kernel_distance(reference.features(SPLIT), seen.features, subsets=KERNEL_SUBSETS, seed=seed)
    return {"kid": kernel.mean, "kid_subset_sd": kernel.sd}
