"""How near a family that translates pictures comes to their targets, on the test split."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen.evaluation.sampling import chunks
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE

NUMBERS = {
    "target_l1": Number(
        "smaller", "Mean distance per value of test images and their targets, which differ by 2 at most."
    ),
    "target_psnr": Number("larger", "Peak signal-to-noise ratio of test images and their targets, in dB."),
    "target_ssim": Number(
        "larger", "Structural similarity of test images and their targets (Wang et al. 2004); 1 where they are equal."
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
    given = [(batch.extras[pictures.name], batch.images) for _, batch in pairs]
    if all(one.shape == image.shape for one, image in given):
        found |= {f"input_{name}": value for name, value in distances(given).items()}
    return found


Images = Float[Tensor, "n c h w"]


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
