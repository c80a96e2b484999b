"""log p(x | parameters) of an image's values, in nats, one number for each value. Values are in [-1, 1].

`out` is what a decoder puts out, of the shape of the images; `log_scale` the logarithm of a scale that all share.
"""

from math import log, pi

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, softplus

Images = Float[Tensor, "n c h w"]
Scale = Float[Tensor, ""]
HALF_BIN = 1 / 255
"""Half the distance of two of the 256 levels of [-1, 1]."""


def bernoulli(images: Images, out: Images) -> Images:
    """x log p + (1 - x) log(1 - p) with x in [0, 1] and p the sigmoid of `out` (Kingma & Welling 2014, appendix C.1).

    Of values between 0 and 1 it is no normalised probability: they are read as those of a binary pixel.
    """
    return -binary_cross_entropy_with_logits(out, (images + 1) / 2, reduction="none")


def gaussian(images: Images, out: Images, log_scale: Scale) -> Images:
    """log N(x; out, exp(log_scale)^2): a density of real numbers (Kingma & Welling 2014, appendix C.2)."""
    return -((images - out) * (-log_scale).exp()).square() / 2 - log_scale - log(2 * pi) / 2


def discretized_logistic(images: Images, out: Images, log_scale: Scale) -> Images:
    """log of a logistic distribution's mass on the value's one of 256 levels (Kingma et al. 2016, equation 15).

    Levels are 2/255 apart; the first and the last have the tails, so that the masses sum to 1.
    """
    above = (images - out + HALF_BIN) * (-log_scale).exp()
    below = (images - out - HALF_BIN) * (-log_scale).exp()
    # log(sigmoid(a) - sigmoid(b)) in a form that is exact far from the mean, too.
    width = torch.log(-torch.expm1(below - above))
    between = logsigmoid(above) + logsigmoid(-below) + width
    return torch.where(
        images < -1 + HALF_BIN, logsigmoid(above), torch.where(images > 1 - HALF_BIN, -softplus(below), between)
    )
