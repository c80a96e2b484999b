"""Two domains of any data set of images: two of its classes, or those with and without an attribute.

Nothing pairs them: the domain `target` is the images of the data set, `input` are the rows of its splits
`train.input`, `validation.input` and `test.input`. The label of a row says its domain, as 0 (input) or 1 (target).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray
from pydantic import model_validator

from gen.settings import Settings, nearest

INPUT_DOMAIN = "input"
"""Its rows are translated into the images of the data set."""
NOT = "not "


class Domains(Settings):
    """The section `domains` of a data set in params.yaml.

    Each is the name of a class, or of a column that is true or false (an attribute), with `not ` before it for the rows
    that are something else.
    """

    input: str
    """What is translated."""
    target: str
    """What it is translated into."""

    @model_validator(mode="after")
    def _two(self) -> "Domains":
        if self.input == self.target:
            raise ValueError(f"input and target: both are {self.input!r}; give two domains")
        return self

    @property
    def names(self) -> tuple[str, str]:
        """Of the labels, in their order."""
        return self.input, self.target

    def check(self, classes: Sequence[str], attributes: Sequence[str]) -> None:
        """Raises ValueError for a domain that is none of these classes and attributes."""
        for field, name in (("input", self.input), ("target", self.target)):
            if name.removeprefix(NOT) not in (known := [*classes, *attributes]):
                remedy = nearest(name.removeprefix(NOT), known) if known else "it has neither"
                raise ValueError(f"domains.{field}: {name!r} is no class and no attribute of the data set; {remedy}")

    def rows(
        self,
        name: str,
        labels: Int[ndarray, " n"],
        extras: Mapping[str, Shaped[ndarray, "n ..."]],
        classes: Sequence[str],
    ) -> Bool[ndarray, " n"]:
        """Which rows are of the domain of that name; a class comes before an attribute of its name."""
        bare = name.removeprefix(NOT)
        of = labels == classes.index(bare) if bare in classes else extras[bare]
        return np.logical_not(of) if bare != name else np.asarray(of, bool)


def no_domain(family: str, domain: str, where: str) -> str:
    """What is said of data that have no rows of a domain that the family sees."""
    remedy = "give the data set a section domains, or use source: domains"
    return f"{family} sees images of a second domain, {domain!r}, and the {where} has none; {remedy}"
