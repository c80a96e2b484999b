"""How near a family that translates pictures comes to their targets, on the test split."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Measured, chunks
from gen.evaluators import Number, Subject, accuracies
from gen.extractors import AT_ONCE, ClassifierExtractor

NUMBERS = {
    "target_l1": Number(
        "smaller", "Mean distance per value of test images and their targets, which differ by 2 at most."
    ),
    "target_psnr": Number("larger", "Peak signal-to-noise ratio of test images and their targets, in dB."),
    "target_ssim": Number(
        "larger", "Structural similarity of test images and their targets (Wang et al. 2004); 1 where they are equal."
    ),
    "translated_class": Number(
        "larger",
        "Share of translated images which the classifier takes for the class of their targets; of the targets "
        "themselves, its accuracy.",
    ),
    "input_class": Number(
        "larger", "The same of what is given, without any model: nothing is won below it.", shown=False
    ),
    "input_l1": Number(
        "smaller", "The same of what is given, without any model: nothing is won above it.", shown=False
    ),
    "input_psnr": Number("larger", "The same of what is given, without any model: nothing is won below it."),
    "input_ssim": Number(
        "larger", "The same of what is given, without any model: nothing is won below it.", shown=False
    ),
}
SIDE = 11
"""Pixels of the window of the structural similarity; of smaller images there is none."""


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Of each test image that is told a picture: once as many as there are, or as the samples of a number."""
    pictures, loader = subject.sampler.given, subject.sampler.held_out
    if loader is None or pictures is None or pictures.name not in subject.dataset.columns:
        return {}
    rows = min(subject.samples, loader.rows)
    pairs = [
        (subject.sampler.draw(seed, part, rows), loader[part.start // AT_ONCE].rows(slice(part.stop - part.start)))
        for part in chunks(rows)
    ]
    found = {
        f"target_{name}": value for name, value in distances([(made, batch.images) for made, batch in pairs]).items()
    }
    given = [(batch.extras[pictures.name].expand_as(batch.images), batch.images) for _, batch in pairs]
    found |= {f"input_{name}": value for name, value in distances(given).items()}
    for reference in subject.references:
        if isinstance(reference.extract, ClassifierExtractor):
            labels = torch.cat([batch.labels for _, batch in pairs])
            for name, images in (("translated", [made for made, _ in pairs]), ("input", [one for one, _ in given])):
                taken = torch.cat([reference.extract(some).logits.argmax(dim=1) for some in images])
                found[f"{name}_class_{reference.name}"] = float((taken == labels).float().mean())
    return found


def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """The share of test images that each classifier is right about."""
    return accuracies("translated_class", references)


Images = Float[Tensor, "_ c h w"]


def distances(pairs: list[tuple[Images, Images]]) -> dict[str, float]:
    """Each number, the mean over images, of images and targets in [-1, 1]."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim  # seconds of imports

    images, targets = torch.cat([one for one, _ in pairs]), torch.cat([other for _, other in pairs])
    error = (images - targets).square().flatten(1).mean(dim=1)
    found = {
        "l1": float((images - targets).abs().mean()),
        # Images that are equal have no noise: of 8 bits a value, half a level is as near as one can tell.
        "psnr": float((10 * (4 / error.clamp_min((1 / 255) ** 2)).log10()).mean()),
    }
    if min(images.shape[2:]) >= SIDE:
        similar = [torch.as_tensor(ssim(*pair, data_range=2.0, reduction="sum")) for pair in pairs]
        found["ssim"] = float(sum(similar)) / len(images)
    return found
