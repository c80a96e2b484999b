"""What a critic has become: how gradients travel through its layers, and its value over the plane.

Gulrajani et al. 2017 (arXiv:1704.00028), figure 1: with weights clipped to [-c, c] a deep critic's gradients vanish or
explode with c, with a gradient penalty they stay level; and a clipped critic finds only simple functions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def gradient_norms(critic: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " layers"]:
    """Mean over samples of the norm of the critic's gradient with respect to what each layer with weights puts out.

    From the layer next to the image to the last but one: the last one's output is the value itself.
    """
    outputs: list[Tensor] = []
    layers = [layer for layer in critic.modules() if isinstance(layer, WEIGHTED)]
    # A copy, because the activation that follows works in place.
    hooks = [layer.register_forward_hook(lambda layer, given, out: keep(outputs, out)) for layer in layers]
    try:
        total = critic(images.detach().requires_grad_()).sum()
    finally:
        for hook in hooks:
            hook.remove()
    found = torch.autograd.grad(total, outputs[:-1])
    return torch.stack([gradient.flatten(1).norm(dim=1).mean() for gradient in found])


def keep(outputs: list[Tensor], out: Tensor) -> Tensor:
    """Note a layer's output, and hand on a copy."""
    outputs.append(out)
    return out.clone()


@torch.inference_mode()
def value_surface(critic: nn.Module, reach: float, side: int) -> Float[Tensor, "side side"]:
    """The critic's value at side x side points of the square [-reach, reach]^2; row 0 has the smallest y."""
    line = torch.linspace(-reach, reach, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()], dim=1)[:, :, None, None]
    values: Tensor = critic(points)
    return values.reshape(side, side)
