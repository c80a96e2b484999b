"""What is lost on the way from an image to its latent vector and back, of a model with an encoder."""

from math import isfinite

import torch

from gen.abilities import Inference, Latent
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE, ClassifierExtractor, Extractor

NUMBERS = {
    "reconstruction_error": Number("smaller", "Mean square per pixel of test images and their reconstructions."),
    "unexplained_variance": Number(
        "smaller",
        "Reconstruction error over the one of answering each image with the mean of all; 0 is perfect, 1 no better "
        "than the mean.",
    ),
    "reconstruction_class_accuracy": Number(
        "larger",
        "Share of test images which the classifier takes for the same class after they were encoded and decoded.",
    ),
    "round_trip_error": Number(
        "smaller", "Mean square per dimension of z and the encoding of its image; 1 for an encoder that always says 0."
    ),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Mean squares on the way x -> z -> x, per value, and z -> x -> z, per dimension, where z has a prior."""
    family, images = subject.family, subject.held_out.images
    if not isinstance(family, Inference):
        return {}
    made = torch.cat([family.decode(family.encode(some)) for some in torch.split(images, AT_ONCE)])
    lost = float((made - images).square().mean())
    variance = float((images - images.mean(dim=0)).square().mean())
    found = {
        "reconstruction_error": lost,
        "unexplained_variance": lost / max(variance, torch.finfo(images.dtype).tiny),
    }
    if isinstance(family, Latent):
        z = family.prior(subject.noise("round trip", seed, rows=len(images)))
        found["round_trip_error"] = float((family.encode(family.decode(z)) - z).square().mean())
    for reference in subject.references:
        # Where the error is not finite, that is what is said of the model.
        if isinstance(reference.extract, ClassifierExtractor) and isfinite(lost):
            found[f"reconstruction_class_accuracy_{reference.name}"] = kept(images, made, reference.extract)
    return found


def kept(images: torch.Tensor, made: torch.Tensor, classifier: Extractor) -> float:
    """The share of images which the classifier still takes for the same class."""
    same = 0
    for rows, again in zip(torch.split(images, AT_ONCE), torch.split(made, AT_ONCE), strict=True):
        before, after = (classifier(each).logits.argmax(dim=1) for each in (rows, again))
        same += int((before == after).sum())
    return same / len(images)
