"""What of a family all workers have to agree on."""

import hashlib
from typing import cast

import torch
from jaxtyping import Int
from torch import Tensor, nn

from gen.family import Family
from gen.frozen import frozen_tensors


def digest_of(family: Family) -> Int[Tensor, ""]:
    """64 bits that two families share only if all their weights and buffers are equal, to the bit."""
    whole = hashlib.blake2b(digest_size=8)
    for values in family.state_dict().values():
        whole.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return torch.tensor(int.from_bytes(whole.digest(), "little", signed=True))


def statistics(family: Family) -> list[Tensor]:
    """What layers keep of the batches they have seen, of batch norm, say: all floating buffers that are not frozen."""
    kept, frozen = family.state_dict().keys(), frozen_tensors(cast(nn.Module, family))
    found = [buffer for name, buffer in family.named_buffers() if name in kept and id(buffer) not in frozen]
    return [buffer for buffer in found if buffer.is_floating_point()]
