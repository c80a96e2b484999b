"""Colours by which runs are told apart, in the page of a comparison and in MLflow's charts."""

import colorsys

TEN = ("1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd", "8c564b", "e377c2", "7f7f7f", "bcbd22", "17becf")
"""Those of matplotlib, which were chosen to be told apart."""
GOLDEN = 0.618
"""Between the hues of two colours that follow one another: any few that do are far apart."""


def palette(many: int) -> list[str]:
    """So many colours, as #rrggbb."""
    more = [colorsys.hls_to_rgb(i * GOLDEN % 1, (0.35, 0.55)[i % 2], 0.6) for i in range(many - len(TEN))]
    return [f"#{one}" for one in TEN][:many] + ["#" + bytes(round(255 * part) for part in one).hex() for one in more]
