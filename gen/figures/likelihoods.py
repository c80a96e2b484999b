"""The figure of how likely a model finds images of several kinds."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from gen.figures.panels import figure_png

BINS = 60


def likelihoods(log_p: Mapping[str, Float[Tensor, " n"]], kind: str) -> bytes:
    """A PNG of histograms, on one axis.

    Args:
        log_p: of each image in nats, by what the images are.
        kind: of the numbers: exact, bound, estimate.
    """
    from matplotlib.figure import Figure  # most of a second, which other evaluations would pay

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    every = torch.cat(list(log_p.values()))
    edges = torch.linspace(float(every.min()), float(every.max()) + 1e-6, BINS + 1, dtype=torch.float64).tolist()
    for name, values in log_p.items():
        axes.hist(values.tolist(), edges, alpha=0.6, label=f"{name}, mean {float(values.mean()):.1f}")
    axes.set(xlabel=f"log p(x), nats ({kind})", ylabel="images")
    axes.legend(fontsize="small")
    return figure_png(figure, dpi=100)
