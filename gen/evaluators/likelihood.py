"""How likely test images are to a model with a density, in nats an image and bits a value.

The kind is part of a number's name: an exact value, a bound that is never better than it, or an estimate. Numbers of
different kinds, and of different p(x | z), are not compared.
"""

from math import log

import torch

from gen.abilities import Density
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE

KINDS = {"exact": "exactly", "bound": "at most, by a lower bound of the likelihood", "estimate": "estimated"}
NUMBERS = {
    **{f"nats_{kind}": Number("smaller", f"-log p(x) of a test image in nats, {how}.") for kind, how in KINDS.items()},
    **{
        f"bits_{kind}": Number("smaller", f"The same in bits for each of its values, {how}.", shown=False)
        for kind, how in KINDS.items()
    },
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of a model without a density."""
    family, held_out = subject.family, subject.held_out
    if not isinstance(family, Density):
        return {}
    nats = []
    for number, start in enumerate(range(0, len(held_out.images), AT_ONCE)):
        some = held_out.rows(slice(start, start + AT_ONCE))
        noise = subject.noise("likelihood", seed, number, rows=len(some.images))
        nats.append(-family.log_likelihood(some, noise))
    mean = float(torch.cat(nats).double().mean())
    bits = mean / held_out.images[0].numel() / log(2)
    return {f"nats_{family.density}": mean, f"bits_{family.density}": bits}
