"""The restricted Boltzmann machine of binary units (Smolensky 1986), and its partition function.

    E(v, h) = -v'W h - b'v - c'h,    p(v, h) = exp(-E(v, h)) / Z,    F(v) = -log sum_h exp(-E(v, h))

Units are 0 or 1. Given one layer, units of the other are independent: that is what `restricted` means.
"""

from itertools import pairwise
from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from gen.abilities import Estimate
from gen.family import Noise
from gen.nets.precision import at_least_float32

Visible = Float[Tensor, "n d"]
STRETCHES = ((0.5, 500), (0.9, 4_000), (1.0, 10_000))
"""Ends of the stretches of inverse temperatures, and the share of them in each, as in the paper's 14,500."""
AT_ONCE = 64
"""Units whose flips are computed together: memory is n x AT_ONCE x hidden numbers."""


class BoltzmannMachine(nn.Module):
    """W, b and c; nothing of them is learned here."""

    def __init__(self, visible: int, hidden: int) -> None:
        """Weights start from N(0, 0.01^2), biases at 0 (Hinton 2010, A practical guide, section 8)."""
        super().__init__()
        self.W = nn.Parameter(nn.init.normal_(torch.empty(visible, hidden), std=0.01))
        self.b, self.c = nn.Parameter(torch.zeros(visible)), nn.Parameter(torch.zeros(hidden))

    def hidden_logits(self, v: Visible) -> Float[Tensor, "n hidden"]:
        """log odds of each hidden unit given the visible ones."""
        return at_least_float32(self.c + v @ self.W)

    def visible_logits(self, h: Float[Tensor, "n hidden"]) -> Visible:
        """log odds of each visible unit given the hidden ones."""
        return at_least_float32(self.b + h @ self.W.T)

    def free_energy(self, v: Visible) -> Float[Tensor, " n"]:
        """F(v), in nats."""
        return -(v * self.b).sum(dim=1) - softplus(self.hidden_logits(v)).sum(dim=1)

    def gibbs(self, v: Visible, noise: Noise) -> tuple[Visible, Visible]:
        """The next visible units, and the probabilities that they were drawn from."""
        h = noise.uniform(len(self.c)) < self.hidden_logits(v).sigmoid()
        p = self.visible_logits(h.to(v.dtype)).sigmoid().to(v.dtype)
        return (noise.uniform(len(self.b)) < p).to(v.dtype), p

    def chain(
        self, v: Visible, steps: int, noise: Noise, known: Bool[Tensor, " d"] | None = None
    ) -> tuple[Visible, Visible]:
        """As `gibbs`, after so many steps; `known` units stay as they are."""
        start = p = v
        for _ in range(steps):
            v, p = self.gibbs(v, noise)
            if known is not None:
                v = torch.where(known, start, v)
        return v, p

    def log_pseudo_likelihood(self, v: Visible) -> Float[Tensor, " n"]:
        """sum_i log p(v_i | all others), in nats: it needs no Z."""
        logits, own = self.hidden_logits(v), self.free_energy(v)
        found = torch.zeros_like(own)
        for start in range(0, len(self.b), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            change = 1 - 2 * v[:, some]
            flipped = softplus(logits[:, None] + change[:, :, None] * self.W[some]).sum(dim=2)
            flipped = -(v * self.b).sum(dim=1, keepdim=True) - change * self.b[some] - flipped
            found = found + logsigmoid(flipped - own[:, None]).sum(dim=1)
        return found

    def log_partition(self, temperatures: int, chains: int, noise: Noise) -> Estimate:
        """log Z by annealed importance sampling (Salakhutdinov & Murray 2008, section 4.1).

        Chains go from units that do not depend on one another to this machine, whose weights are raised step by step;
        the mean of their importance weights is the ratio of both partition functions. The independent units have the
        means of as many samples of this machine, where the paper has those of the data. The error is that of the spread
        of the weights, in nats; it is too small where a few chains have most of the weight.
        """
        draws = Noise(*noise.key, "annealed", rows=chains, device=noise.device, dtype=noise.dtype)
        start = draws.bernoulli(len(self.b), probability=0.5)
        mean = self.chain(start, temperatures // 10, draws)[1].mean(dim=0).clamp(0.01, 0.99)
        base = mean.logit()
        v = (draws.uniform(len(self.b)) < mean).to(self.W.dtype)
        weights = torch.zeros(chains, dtype=torch.float64, device=v.device)
        betas = inverse_temperatures(temperatures)
        for last, beta in pairwise(betas):
            logits = self.hidden_logits(v)
            # log of the unnormalised probability of v at beta, less that at the temperature before
            rise = (beta - last) * (v * (self.b - base)).sum(dim=1)
            weights += rise + (softplus(beta * logits) - softplus(last * logits)).sum(dim=1)
            h = (draws.uniform(len(self.c)) < (beta * logits).sigmoid()).to(v.dtype)
            v_logits = (1 - beta) * base + beta * self.visible_logits(h)
            v = (draws.uniform(len(self.b)) < v_logits.sigmoid()).to(v.dtype)
        value = weights.logsumexp(dim=0) - log(chains) + softplus(base).sum() + len(self.c) * log(2)
        share = (weights - weights.max()).exp()
        return Estimate(value, share.std() / share.mean() / chains**0.5)


def inverse_temperatures(count: int) -> list[float]:
    """From 0 to 1, most of them near 1, where the distribution is least like that of independent units."""
    total, found, start = sum(share for _, share in STRETCHES), [0.0], 0.0
    for end, share in STRETCHES:
        steps = max(1, round(count * share / total))
        found += [start + (end - start) * step / steps for step in range(1, steps + 1)]
        start = end
    return found
