"""How likely test images are to a model with a density, in nats an image and bits a value.

The kind is part of a number's name: an exact value, a bound that is never better than it, or an estimate. Numbers of
different kinds, and of different p(x | z), are not compared.
"""

from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Density, Unnormalised
from gen.errors import InputError
from gen.evaluation.other_images import other_images
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE
from gen.family import Batch, Noise
from gen.metrics.neighbours import spans

KINDS = {"exact": "exactly", "bound": "at most, by a lower bound of the likelihood", "estimate": "estimated"}
NUMBERS = {
    **{f"nats_{kind}": Number("smaller", f"-log p(x) of a test image in nats, {how}.") for kind, how in KINDS.items()},
    **{
        f"bits_{kind}": Number("smaller", f"The same in bits for each of its values, {how}.", shown=False)
        for kind, how in KINDS.items()
    },
    "nats_estimate_error": Number(
        "smaller", "Standard error of the estimated likelihood's log Z, in nats; too small where few chains count."
    ),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of a model without a density."""
    family, held_out = subject.family, subject.held_out
    if not isinstance(family, Density):
        return {}
    found, log_z = {}, 0.0
    if isinstance(family, Unnormalised):
        estimate = family.log_partition(subject.noise("partition", seed, rows=1))
        log_z = float(estimate.value)
        found["nats_estimate_error"] = error = float(estimate.error)
        if not error <= family.max_error:
            remedy = "raise model.temperatures or model.chains"
            print(f"warning: log Z has an error of {error:.2g} nats, more than model.max_error says; {remedy}")
    nats = -float(log_likelihoods(family, held_out, "likelihood", seed, log_z=log_z).mean())
    return {f"nats_{family.density}": nats, f"bits_{family.density}": in_bits(nats, held_out)} | found


def log_likelihoods(family: Density, batch: Batch, *key: int | str, log_z: float = 0.0) -> Float[Tensor, " n"]:
    """log p(x) of each image in nats, with noise of the key; an Unnormalised family needs its log Z."""
    log_p = family.log_unnormalised if isinstance(family, Unnormalised) else family.log_likelihood
    found = []
    for number, some in enumerate(spans(len(batch.images), AT_ONCE)):
        rows = batch.rows(some)
        found.append(log_p(rows, Noise("evaluate", *key, number, rows=len(rows.images))).double() - log_z)
    return torch.cat(found)


@torch.inference_mode()
def of_several_kinds(family: Density, images: Float[Tensor, "n c h w"]) -> dict[str, Float[Tensor, " n"]]:
    """log p(x) of test images in nats, and of as many that the model was not trained with, by what they are.

    Raises:
        InputError: one is not finite.
    """
    log_z = 0.0
    if isinstance(family, Unnormalised):
        log_z = float(family.log_partition(Noise("evaluate", "several kinds", rows=1)).value)
    labels = torch.zeros(len(images), dtype=torch.int64)
    found = {}
    for kind, some in ({"test images": images} | other_images(images)).items():
        found[kind] = log_likelihoods(family, Batch(some, labels), "several kinds", log_z=log_z)
        if not bool(found[kind].isfinite().all()):
            raise InputError(f"log p(x) of an image is not finite ({kind}); the model has diverged")
    return found


def in_bits(nats: float, batch: Batch) -> float:
    """Nats an image as bits for each of its values."""
    return nats / batch.images[0].numel() / log(2)
