"""Numbers leave a network in float32 at least, so that losses are not computed in a half precision of autocast."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_float32(numbers: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """float16 and bfloat16 become float32; float32 and float64 stay."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))
