"""The processes that train one model together, as the loop sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True)
class Workers:
    """This process's place among those that share each batch. More than one needs torch.distributed set up."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the one that reports and saves."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by its mean over workers: one all-reduce for all of them."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten().to(tensors[0].dtype) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world_size
        for tensor, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.detach().copy_(mean.view_as(tensor))

    def gather(self, tensor: Tensor, device: torch.device) -> list[Tensor]:
        """Every worker's CPU tensor, in the order of ranks; all have one shape, and travel by way of `device`."""
        if self.world_size == 1:
            return [tensor]
        mine = tensor.to(device).contiguous()
        found = [torch.empty_like(mine) for _ in range(self.world_size)]
        torch.distributed.all_gather(found, mine)
        return [each.cpu() for each in found]

    def share_rows(self, values: Shaped[Tensor, "rows ..."]) -> None:
        """Give every worker, in place, all rows of a global batch; each has right those that are its own."""
        if self.world_size == 1:
            return
        mine = values[self.rank :: self.world_size].cpu()
        for rank, rows in enumerate(self.gather(mine, values.device)):
            values[rank :: self.world_size] = rows.to(values.device)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set on any worker."""
        if self.world_size == 1:
            return flag
        count = torch.tensor(float(flag), device=device)
        torch.distributed.all_reduce(count)
        return bool(count > 0)


SINGLE_PROCESS = Workers()
