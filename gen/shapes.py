"""Networks without numbers: built in no memory and no time, to see whether they fit."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

INTO = (Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_)
"""Draw into a tensor, as the functions of torch.nn.init do."""
NEW = (torch.randn, torch.rand)


class _NothingDrawn(TorchFunctionMode):
    """Leaves out what is drawn at random: to draw nothing on `meta`, torch would import its compiler first (1.3 s)."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if function in INTO or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else options["tensor"]
        if function in NEW:
            options.pop("generator", None)
            return torch.empty(*args, **options)
        return function(*args, **options)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Tensors that are made inside the block have shapes and types alone."""
    with torch.device("meta"), _NothingDrawn():
        yield
