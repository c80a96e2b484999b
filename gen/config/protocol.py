"""The sizes of the semi-supervised protocol (gen/evaluation/semi_supervised.py)."""

from pydantic import Field, model_validator

from gen.settings import Settings


class Protocol(Settings):
    """The sizes of a protocol. One that is smaller than FULL goes by another name, and its results say "reduced"."""

    name: str
    """What its results are called."""
    labelled: int = Field(ge=2)
    """Rows of a labelled set."""
    draws: int = Field(ge=2)
    """Labelled sets whose test errors are averaged."""
    validation: int = Field(ge=1)
    """Rows that choose C: the last of the training rows."""
    costs: int = Field(ge=2)
    """Values of C, from exp(-20) to exp(20), evenly spaced in log C."""
    neighbours: int = Field(ge=1)
    """k of the nearest-neighbour baseline."""
    neighbour_draws: int = Field(ge=2)
    """Labelled sets of the baseline, the first of those above: each costs it more than scoring all SVMs."""

    @model_validator(mode="after")
    def _baseline_takes_part(self) -> "Protocol":
        if self.neighbour_draws > self.draws:
            raise ValueError("neighbour_draws is at most draws: they are the first of them")
        return self

    def reduced(self, pool_rows: int, test_rows: int) -> bool:
        """Whether its results are no full protocol's; the baseline's two sizes have no part in that."""
        sizes = ("labelled", "draws", "validation", "costs")
        few = pool_rows < FULL_POOL or test_rows < FULL_TEST
        return few or any(getattr(self, size) < getattr(FULL, size) for size in sizes)


FULL = Protocol(name="full", labelled=1000, draws=100, validation=10_000, costs=50, neighbours=1, neighbour_draws=10)
FULL_POOL, FULL_TEST = 40_000, 10_000
"""Rows that the full protocol needs to draw from and to test on: CIFAR-10's (SVHN has 63,257 and 26,032)."""
