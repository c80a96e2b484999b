"""Scores leave a network in float32 at least, so that losses are not computed in a half precision of autocast."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_float32(scores: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """float16 and bfloat16 become float32; float32 and float64 stay."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
