"""Training, sweeping and comparing classic deep generative models.

What is named here is imported when it is first used: `import gen` alone is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gen.config.load import load_params
    from gen.data.arrays import dataset_of
    from gen.data.dataset import open_dataset
    from gen.family import Noise
    from gen.model import load, save
    from gen.notebook import run_of, show, train

__all__ = ["Noise", "dataset_of", "load", "load_params", "open_dataset", "run_of", "save", "show", "train"]

_PLACES = {
    "Noise": ("gen.family", "Noise"),
    "dataset_of": ("gen.data.arrays", "dataset_of"),
    "load": ("gen.model", "load"),
    "load_params": ("gen.config.load", "load_params"),
    "open_dataset": ("gen.data.dataset", "open_dataset"),
    "run_of": ("gen.notebook", "run_of"),
    "save": ("gen.model", "save"),
    "show": ("gen.notebook", "show"),
    "train": ("gen.notebook", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'gen' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
