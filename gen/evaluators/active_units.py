"""How much of its latent space a model uses (Burda et al. 2016, IWAE, section 5.2, "active units").

A dimension whose mean does not differ between images says nothing of them: its posterior has collapsed to the prior.
"""

import torch

from gen.abilities import Inference, Latent
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE

VARIANCE = 0.01
"""Of a dimension's encodings over test images, above which it is active; for priors of variance 1, as published."""
NUMBERS = {
    "active_units": Number(
        "larger",
        f"Dimensions of z whose encodings of test images have a variance above {VARIANCE}; the rest say nothing.",
    )
}


def of_weights(subject: Subject) -> dict[str, float]:
    """Nothing of a model without an encoder, or without a prior that its encodings could collapse to."""
    family, images = subject.family, subject.held_out.images
    if not isinstance(family, Inference) or not isinstance(family, Latent) or len(images) < 2:
        return {}
    encoded = torch.cat([family.encode(some) for some in torch.split(images, AT_ONCE)])
    return {"active_units": float((encoded.double().var(dim=0) > VARIANCE).sum())}
