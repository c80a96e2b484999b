"""What classes samples are of, by an extractor that names classes."""

import torch

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT, class_logits, score_parts
from gen.evaluators import Number
from gen.extractors import Extracted
from gen.metrics.inception_score import inception_score
from gen.metrics.modes import class_coverage

NUMBERS = {
    "inception_score": Number(
        "larger",
        "Many classes, each sample surely of one (Salimans et al. 2016); from 1 to the number of classes that the "
        "extractor names.",
    ),
    "classes_seen": Number("larger", "How many of the data set's classes the classifier finds among the samples."),
    "class_variation": Number(
        "smaller", "How far the classes' frequencies are from the test images', 0 to 1.", shown=False
    ),
    "confidence": Number("", "How sure the classifier is of a sample's class."),
}


def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """Nothing where the extractor names no classes; coverage, where they are those of the data set.

    Frequencies are held against those the classifier finds in the test split, which need not be equal.
    """
    logits = seen.logits
    if not logits.shape[1]:
        return {}
    parts = score_parts(len(logits))
    found = {"inception_score": inception_score(logits, parts).mean} if parts else {}
    if reference.name == "classifier":
        real = class_logits(reference.features(SPLIT), reference)
        drawn, held = (torch.bincount(x.argmax(dim=1), minlength=x.shape[1]).tolist() for x in (logits, real))
        coverage = class_coverage(drawn, reference=held)
        found |= {
            "confidence": float(logits.softmax(dim=1).amax(dim=1).mean()),
            "classes_seen": float(coverage.seen),
            "class_variation": coverage.variation,
        }
    return found
