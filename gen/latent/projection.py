"""The latent vector of an image by optimisation, for models without an encoder (and to judge those that have one).

Creswell & Bharath 2016, Inverting the generator of a generative adversarial network; vectors are kept within the range
of the prior's draws, by clipping as Lipton & Tripathi 2017 do.

    minimise over z   mean over pixels of (decode(z) - image)^2       by Adam, from the best of some draws of the prior
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.metrics.neighbours import nearest

LR = 0.1
"""Of Adam, falling to 0 along half a cosine."""
STEPS = 200


class Projection(NamedTuple):
    """Latent vectors of images, and how well they do."""

    z: Float[Tensor, "n d"]
    error: Float[Tensor, " n"]
    """Mean squared error of a pixel, the image being in [-1, 1]: 4 is white for black."""


def project(
    decode: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    draws: Float[Tensor, "m d"],
    *,
    start: Float[Tensor, "n d"] | None = None,
    steps: int = STEPS,
    after_step: Callable[[int], object] = lambda done: None,
) -> Projection:
    """For each image the vector whose image is nearest to it, of all that the optimisation came by.

    Args:
        decode: latent vectors to images.
        images: in [-1, 1].
        draws: of the prior; each image begins with the one whose image is nearest, and none leaves their range.
        start: where to begin instead, the encodings of the images for example.
        steps: of Adam.
        after_step: called with 1 after each step.

    Raises:
        InputError: the images are not of the size that the model makes.
    """
    with torch.no_grad():
        made = decode(draws)
    if made.shape[1:] != images.shape[1:]:
        shapes = ["x".join(map(str, one.shape[1:])) for one in (images, made)]
        raise InputError(f"images of {shapes[0]}; the model makes {shapes[1]}: resize them")
    low, high = draws.amin(dim=0), draws.amax(dim=0)
    if start is None:
        start = draws[nearest(images.flatten(1), made.flatten(1)).indices[:, 0]]
    z = start.clone().clamp(low, high).requires_grad_()
    best, least = z.detach().clone(), torch.full((len(images),), torch.inf)
    adam = torch.optim.Adam([z], lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, steps))
    for step in range(steps + 1):
        with torch.enable_grad():
            error = (decode(z) - images).square().flatten(1).mean(dim=1)
        better = error.detach() < least
        best[better], least[better] = z.detach()[better], error.detach()[better]
        if step < steps:
            (z.grad,) = torch.autograd.grad(error.sum(), [z])
            adam.step()
            schedule.step()
            with torch.no_grad():
                z.clamp_(low, high)
            after_step(1)
    return Projection(best, least)
