"""A trained model as a part of another: a text encoder, a classifier, a decoder."""

from collections.abc import Iterator

from torch import nn


class Frozen(nn.Module):
    """A trained family inside another. It is always in evaluation mode, and no optimizer step may move its weights.

    Gradients pass through it to what it is given. Its weights are exported with the family that it is a part of.
    """

    def __init__(self, family: nn.Module) -> None:
        super().__init__()
        self.family = family
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        """It stays in evaluation mode."""
        return super().train(False)


def trained_modules(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all that is in it, without what is frozen."""
    if not isinstance(module, Frozen):
        yield module
        for child in module.children():
            yield from trained_modules(child)


def frozen_tensors(module: nn.Module) -> set[int]:
    """The ids of all parameters and buffers of its frozen parts."""
    parts = [one for one in module.modules() if isinstance(one, Frozen)]
    return {id(tensor) for part in parts for tensor in (*part.parameters(), *part.buffers())}
