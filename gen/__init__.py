"""Training, sweeping and comparing classic deep generative models."""

from gen.export import load
from gen.family import Noise

__all__ = ["Noise", "load"]
