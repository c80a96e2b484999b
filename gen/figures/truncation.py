"""FID against Inception score as the prior is truncated (Brock, Donahue & Simonyan 2019, section 3.1)."""

from collections.abc import Sequence

from gen.figures.panels import figure_png


def truncation(found: Sequence[tuple[float | None, float, float]], extractor: str) -> bytes:
    """A PNG of one line, each of whose points is a threshold (None: without one), with its FID and Inception score."""
    from matplotlib.figure import Figure  # most of a second, which other evaluations would pay

    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([score for _, _, score in found], [fid for _, fid, _ in found], "o-", markersize=4)
    for threshold, fid, score in found:
        name = "none" if threshold is None else f"{threshold:g}"
        axes.annotate(name, (score, fid), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel=f"Inception score ({extractor})", ylabel=f"FID ({extractor})", title="threshold on entries of z")
    return figure_png(figure, dpi=110)
