"""Whether a family that translates without pairs keeps what it was given, and reaches the other domain."""

from collections.abc import Sequence

from gen.abilities import Cyclic
from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT, Measured, chunks
from gen.evaluators import Number, Subject, accuracies
from gen.extractors import ClassifierExtractor

NUMBERS = {
    "taken_for_target": Number(
        "larger",
        "Share of translated test images which the classifier takes for ones of the target's domain; of real images of "
        "both domains, its accuracy.",
    ),
    "cycle_l1": Number(
        "smaller", "Mean distance per value of what is given and what comes back by both translations; 2 at most."
    ),
    "target_cycle_l1": Number(
        "smaller", "The same of images of the target's domain, translated into the other one first.", shown=False
    ),
}


def of_weights(subject: Subject) -> dict[str, float]:
    """Of test images of each domain; nothing of a family that translates one way only, or not at all."""
    family, held_out = subject.family, subject.sampler.held_out
    if not isinstance(family, Cyclic) or held_out is None:
        return {}
    rows = min(subject.samples, held_out.rows)
    errors = {"cycle_l1": 0.0, "target_cycle_l1": 0.0}
    judges = [reference for reference in subject.references if isinstance(reference.extract, ClassifierExtractor)]
    taken = dict.fromkeys((f"taken_for_target_{reference.name}" for reference in judges), 0.0)
    for number, part in enumerate(chunks(rows)):
        batch, condition = held_out[number].rows(slice(part.stop - part.start)), subject.sampler.condition(part)
        assert condition is not None
        (pictures,) = condition.extras.values()
        made = family.translate(pictures)
        share = len(pictures) / rows
        errors["cycle_l1"] += share * float((family.translate_back(made) - pictures).abs().mean())
        again = family.translate(family.translate_back(batch.images))
        errors["target_cycle_l1"] += share * float((again - batch.images).abs().mean())
        for reference in judges:
            right = reference.extract(made).logits.argmax(dim=1) == batch.labels
            taken[f"taken_for_target_{reference.name}"] += share * float(right.float().mean())
    return errors | taken


def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """The share of test images that each classifier is right about, where there are two domains."""
    if len(dataset.in_all_domains(SPLIT)) < 2:
        return {}
    return accuracies("taken_for_target", references)
