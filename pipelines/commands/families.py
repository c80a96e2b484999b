"""What families there are, and what each can do."""

import pandas as pd

from gen.families import family_module, family_names
from pipelines.reports.family_table import ABILITIES
from pipelines.reports.tables import markdown


def listed() -> str:
    """A table: the family, its paper, and its abilities."""
    rows = {}
    for name in family_names():
        module = family_module(name)
        paper = str(module.__doc__).partition("\n")[0].partition(": ")[2].rstrip(".")
        # Of the class, since a protocol with data has instances alone: a class has the names that its instances have.
        able = {ability: "yes" if isinstance(module.Model, protocol) else "" for ability, protocol in ABILITIES.items()}
        rows[name] = {**able, "p(x)": getattr(module.Model, "density", ""), "paper": paper}
    return markdown(pd.DataFrame.from_dict(rows, orient="index"), "family")
