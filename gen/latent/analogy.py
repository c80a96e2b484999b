"""A is to B as C is to what? Arithmetic of latent vectors.

White 2016, Sampling generative networks, section II.B; Radford et al. 2015 (DCGAN), section 6.3.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.family import Noise
from gen.latent.interpolation import corners

REACH = 0.25
"""Half the width of the uniform noise around the result of arithmetic (DCGAN, figure 7)."""


def analogy(a: Float[Tensor, "*n d"], b: Float[Tensor, "*n d"], c: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """D = C + B - A, so that A : B :: C : D and, as well, A : C :: B : D."""
    return c + b - a


def j_diagram(
    a: Float[Tensor, " d"], b: Float[Tensor, " d"], c: Float[Tensor, " d"], rows: int, columns: int
) -> Float[Tensor, "rows columns d"]:
    """The grid of an analogy: A top left, B top right, C bottom left, D bottom right, great circles between them.

    Raises:
        InputError: there is no great circle between two of them.
    """
    return corners(torch.stack([a, b, c, analogy(a, b, c)]), rows, columns)


def arithmetic(
    plus: Float[Tensor, "k d"], minus: Float[Tensor, "l d"], and_plus: Float[Tensor, "m d"], noise: Noise
) -> Float[Tensor, "9 d"]:
    """Three concepts, each the mean of some latent vectors: the first, less the second, plus the third.

    Returns:
        The cells of a 3x3 sheet: the result in the middle, around it the result plus uniform noise in [-0.25, 0.25].

    Raises:
        InputError: a concept has no example.
    """
    for name, concept in (("plus", plus), ("minus", minus), ("and_plus", and_plus)):
        if not len(concept):
            raise InputError(f"{name}: no latent vector; a concept is the mean of one or more (the paper takes three)")
    result = plus.mean(dim=0) - minus.mean(dim=0) + and_plus.mean(dim=0)
    cells = result + noise.uniform(len(result), low=-REACH, high=REACH)[:9].to(result)
    cells[4] = result
    return cells
