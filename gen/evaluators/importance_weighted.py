"""A tighter bound of the likelihood of test images, by importance weighting (Burda et al. 2016, IWAE, equation 8).

    log p(x) >= E log 1/K sum_k p(x, z_k) / q(z_k | x),    z_k drawn from q(z | x)

It rises with K, from the usual bound at K = 1 to log p(x); K is `DRAWS`.
"""

from math import log

import torch

from gen.abilities import ImportanceWeights
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE

DRAWS = 50
NUMBERS = {
    "nats_bound_importance_weighted": Number(
        "smaller",
        f"-log p(x) of a test image in nats, at most, by the importance-weighted bound with {DRAWS} draws of z.",
    )
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of a model that has no weights of latent vectors."""
    family, held_out = subject.family, subject.held_out
    if not isinstance(family, ImportanceWeights):
        return {}
    nats = []
    for number, start in enumerate(range(0, len(held_out.images), AT_ONCE)):
        some = held_out.rows(slice(start, start + AT_ONCE))
        noise = subject.noise("importance", seed, number, rows=len(some.images))
        weights = family.log_weights(some, noise, DRAWS)
        nats.append(log(DRAWS) - weights.double().logsumexp(dim=0))
    return {"nats_bound_importance_weighted": float(torch.cat(nats).mean())}
