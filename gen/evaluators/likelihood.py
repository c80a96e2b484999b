"""How likely test images are to a model with a density, in nats an image and bits a value.

The kind is part of a number's name: an exact value, a bound that is never better than it, or an estimate. Numbers of
different kinds, and of different p(x | z), are not compared.
"""

from math import log

import torch

from gen.abilities import Density, Unnormalised
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE

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
    found, log_z, log_p = {}, 0.0, family.log_likelihood
    if isinstance(family, Unnormalised):
        estimate = family.log_partition(subject.noise("partition", seed, rows=1))
        log_z, log_p = float(estimate.value), family.log_unnormalised
        found["nats_estimate_error"] = error = float(estimate.error)
        if not error <= family.max_error:
            remedy = "raise model.temperatures or model.chains"
            print(f"warning: log Z has an error of {error:.2g} nats, more than model.max_error says; {remedy}")
    nats = []
    for number, start in enumerate(range(0, len(held_out.images), AT_ONCE)):
        some = held_out.rows(slice(start, start + AT_ONCE))
        noise = subject.noise("likelihood", seed, number, rows=len(some.images))
        nats.append(log_z - log_p(some, noise).double())
    mean = float(torch.cat(nats).mean())
    bits = mean / held_out.images[0].numel() / log(2)
    return {f"nats_{family.density}": mean, f"bits_{family.density}": bits} | found
