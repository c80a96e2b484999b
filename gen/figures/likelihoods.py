"""The figure of how likely a model finds images of several kinds."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from gen.figures.panels import figure_png

BINS = 60
REACH = 10
"""How far below the first kind of images the axis goes, in ranges of its values: a bound can be of any size."""


def likelihoods(log_p: Mapping[str, Float[Tensor, " n"]], kind: str) -> bytes:
    """A PNG of histograms, on one axis; what lies below it is counted in the legend.

    Args:
        log_p: of each image in nats, by what the images are; those that the model is made for come first.
        kind: of the numbers: exact, bound, estimate.
    """
    from matplotlib.figure import Figure  # most of a second, which other evaluations would pay

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    every, first = torch.cat(list(log_p.values())), next(iter(log_p.values()))
    least = max(float(every.min()), float(first.min()) - REACH * (float(first.max() - first.min()) + 1))
    edges = torch.linspace(least, float(every.max()) + 1e-6, BINS + 1, dtype=torch.float64).tolist()
    for name, values in log_p.items():
        below = int((values < least).sum())
        label = f"{name}, median {float(values.median()):.4g}" + (f", {below} below" if below else "")
        axes.hist(values.clamp_min(edges[0]).tolist(), edges, alpha=0.6, label=label)
    axes.set(xlabel=f"log p(x), nats ({kind})", ylabel="images")
    axes.legend(fontsize="small")
    return figure_png(figure, dpi=100)
