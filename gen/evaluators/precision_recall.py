"""Precision and recall of samples (Kynkaanniemi et al. 2019)."""

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT, counts
from gen.evaluators import Number
from gen.extractors import Extracted
from gen.metrics.precision_recall import precision_recall

NUMBERS = {
    "precision": Number(
        "larger", "Share of samples in the neighbourhoods of real images; high where all samples are alike, too."
    ),
    "recall": Number(
        "larger",
        "Share of real images in the neighbourhoods of samples; these grow where samples spread thin, so it can exceed "
        "that of real images.",
    ),
}


def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """Of as many samples as test images."""
    few = counts(reference, len(seen.features))["precision_recall_memorisation"]
    pair = precision_recall(reference.features(SPLIT)[:few], seen.features[:few])
    return {"precision": pair.precision, "recall": pair.recall}
