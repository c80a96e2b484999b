"""One entry of `sweeps`: which hyperparameters of a run take which values, and what decides between them."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from gen.config.extractors import scoring_extractor
from gen.errors import InputError
from gen.settings import Settings, nearest

Value = bool | int | float | str | None

FIXED = ("dataset", "family", "group", "seed", "seeds", "steps", "warm_start", "part")
"""Fields of a run that no sweep varies: it names them itself, or its trials would not be compared with each other."""

SHARED = ("compute.device", "compute.threads", "compute.workers")
"""What decides how many trials run at once: the same for all of them, so it stands in `changes`."""


MANY = 1000
"""Points that are checked before a sweep starts take less than a second."""


OF_MIXTURES = ("validation/mode_variation", "validation/modes_covered", "validation/high_quality")
"""Scores on the validation split that only data with modes has."""
SECTIONS = ("compute", "model")
"""Of a run, which paths begin with."""
EDGE = 0.05
"""Share of a range that is its end."""
DRAWS = 200
"""Of the points that are checked, those drawn at random: hyperparameters may be legal one by one and not together."""


class Axis(Settings):
    """What one hyperparameter may be: one of `values`, or anything between `low` and `high`."""

    values: tuple[Value, ...] | None = Field(default=None, min_length=1)
    """Each of these."""
    low: int | float | None = None
    """The smallest of a range; when both ends are whole numbers, so is what lies between."""
    high: int | float | None = None
    """The largest of a range."""
    log: bool = False
    """Whether it is the logarithm that is spread evenly, in the search and in figures."""

    @field_validator("values", mode="before")
    @classmethod
    def _numbers(cls, values: object) -> object:
        if not isinstance(values, list | tuple):
            return values
        found = [number(one) for one in values]
        for one in found:
            if not isinstance(one, bool | int | float | str | None) or (
                isinstance(one, float) and not math.isfinite(one)
            ):
                raise ValueError("each is a finite number, a text, true, false or null")
        return found

    @model_validator(mode="after")
    def _one_form(self) -> "Axis":
        if self.values is None:
            if self.low is None or self.high is None or not self.low < self.high:
                raise ValueError("give values, or low and high with low < high")
        elif self.low is not None or self.high is not None:
            raise ValueError("give values or a range, not both")
        elif len(set(self.values)) < len(self.values):  # 1, 1.0 and true are one value, too
            raise ValueError("one of the values is there twice; name each once")
        if self.log and not all(isinstance(v, int | float) and v is not True and v > 0 for v in self.candidates):
            raise ValueError("log needs values, low and high above 0")
        return self

    @property
    def candidates(self) -> tuple[Value, ...]:
        """All values, or the ends of the range."""
        return self.values if self.values is not None else (self.low, self.high)

    def draw(self, random: Random) -> Value:
        """One of its values, or a number of its range."""
        if self.low is None or self.high is None:
            return random.choice(self.candidates)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return random.randint(self.low, self.high)
        return random.uniform(self.low, self.high)

    def edge(self, value: Value) -> str:
        """`smallest` or `largest` where a number is at that end of what was tried, else nothing.

        Of a range without steps, an end is its outermost twentieth.
        """
        ends = [end for end in self.candidates if isinstance(end, int | float) and not isinstance(end, bool)]
        if isinstance(value, bool) or not isinstance(value, int | float) or len(ends) < max(2, len(self.candidates)):
            return ""
        low, high, at = min(ends), max(ends), float(value)
        room = 0.0
        if self.values is None and not (isinstance(low, int) and isinstance(high, int)):
            low, high, at = (math.log(one) if self.log else one for one in (low, high, at))
            room = EDGE * (high - low)
        return "smallest" if at <= low + room else "largest" if at >= high - room else ""

    @property
    def to_check(self) -> tuple[Value, ...]:
        """Values that show whether it is legal: all, if there are not too many; the ends of a range and one within."""
        if self.low is None or self.high is None:
            return self.candidates
        if isinstance(self.low, int) and isinstance(self.high, int):
            return tuple(range(self.low, self.high + 1)) if self.high - self.low < MANY else self.candidates
        return (self.low, self.low + 0.618 * (self.high - self.low), self.high)  # no whole number where none belongs


class Sweep(Settings):
    """One entry of `sweeps`. Its trials are the run at each point of the space, once for each seed."""

    run: str
    """The entry of `runs` that it varies."""
    dataset: str
    """The run's, which DVC has to find here."""
    family: str
    """The run's, too."""
    changes: dict[str, Value] = Field(default={})
    """What all trials have different from the run, by path: {model.width: 16, compute.workers: 2}."""
    space: dict[str, Axis] = Field(min_length=1)
    """What is swept, by path within the run: {model.clip: {values: [0.001, 0.01, 0.1], log: true}}."""
    seeds: int = Field(default=3, gt=0)
    """Trials of each point, with seeds from the run's own upwards."""
    steps: int = Field(gt=0)
    """Steps of a trial."""
    evaluate_every: int = Field(gt=0)
    """Steps between two evaluations of a trial; each is a checkpoint too."""
    metric: str
    """What decides, as MLflow shows it: `validation/fid_classifier`, `validation/modes_covered`, `loss/<name>`.

    A trial counts with the best of its evaluations, as a run is exported at its best checkpoint (by what,
    gen/training/scores.py says).
    """
    mode: Literal["min", "max"] = "min"
    """Whether small is good."""
    search: Literal["grid", "random", "tpe"] = "grid"
    """How points are chosen: all combinations, at random, or by the Tree-structured Parzen Estimator (Optuna)."""
    points: int | None = Field(default=None, gt=0)
    """How many points random and tpe choose; null for grid."""
    budget: int | None = Field(default=None, gt=0)
    """Steps of all trials together after which no further point is begun; null: no limit."""
    scheduler: Literal["none", "asha"] = "none"
    """asha (Li 2020, arXiv:1810.05934) ends the worse half of the trials after grace_period, 2 and 4 times that, ..."""
    grace_period: int | None = Field(default=None, gt=0)
    """Steps that asha gives every trial; null for none."""
    concurrency: int = Field(default=2, gt=0)
    """Trials at once, as far as the cluster has CPUs or GPUs; a Ray of the sweep's own takes as many as that needs."""

    @field_validator("metric")
    @classmethod
    def _has_a_section(cls, metric: str) -> str:
        if not re.fullmatch(r"(validation|loss|gradient_norm)/\w+", metric):
            raise ValueError("give it as MLflow shows it: validation/<score>, loss/<name> or gradient_norm/<name>")
        return metric

    @model_validator(mode="after")
    def _fits(self) -> "Sweep":
        if (self.search == "grid") != (self.points is None):
            raise ValueError("points is null for grid, and a number for random and tpe")
        if self.search == "grid" and any(axis.values is None for axis in self.space.values()):
            raise ValueError("a grid needs values for every hyperparameter; ranges are for random and tpe")
        if (self.scheduler == "asha") != (self.grace_period is not None):
            raise ValueError("grace_period is a number for asha, and null for none")
        if self.grace_period is not None and self.grace_period >= self.steps:
            raise ValueError("grace_period is less than steps: asha ends nothing early otherwise")
        if self.steps % self.evaluate_every or (self.grace_period or 0) % self.evaluate_every:
            raise ValueError("steps and grace_period are multiples of evaluate_every")
        return self

    def points_to_check(self) -> Iterator[dict[str, Value]]:
        """Points that show whether a space is legal: all of a grid, or all of such values if there are few enough.

        Else each of those values once. And, but for a grid, some points at random.
        """
        values = {path: axis.to_check for path, axis in self.space.items()}
        if self.search == "grid" or math.prod(map(len, values.values())) <= MANY:
            for chosen in itertools.product(*values.values()):
                yield dict(zip(values, chosen, strict=True))
        else:
            first = {path: of_axis[0] for path, of_axis in values.items()}
            for path, of_axis in values.items():
                for value in of_axis:
                    yield first | {path: value}
        random = Random(0)
        for _ in range(0 if self.search == "grid" else DRAWS):
            yield {path: axis.draw(random) for path, axis in self.space.items()}

    def grid(self) -> Iterator[dict[str, Value]]:
        """All combinations of the candidates, the last hyperparameter changing fastest."""
        for chosen in itertools.product(*(axis.candidates for axis in self.space.values())):
            yield dict(zip(self.space, chosen, strict=True))

    def trials(self) -> int:
        """How many there are, at most."""
        return self.seeds * (self.points if self.points is not None else sum(1 for _ in self.grid()))


def refuse_nested(section: Mapping[str, Any], where: str) -> None:
    """Hyperparameters of `changes` and `space` are named by paths, not by sections in sections. Raises InputError."""
    for part in ("changes", "space"):
        entries = section.get(part)
        for name, inner in entries.items() if isinstance(entries, dict) else ():
            if isinstance(inner, dict) and (part == "changes" or name in SECTIONS):
                paths = ", ".join(f"{name}.{key}: {_flow(held)}" for key, held in inner.items())
                remedy = f"write {paths}" if paths else "leave it out"
                raise InputError(f"{where}.{part}.{name}: no section, but paths belong here; {remedy}")


def _flow(value: object) -> str:
    """As YAML has it in one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf).splitlines()[0]


def validation_scores(extractor: str) -> list[str]:
    """The scores on the validation split by an extractor (gen/training/scores.py); those of modes only of mixtures."""
    if extractor == "coordinates":
        return ["validation/sliced_wasserstein", *OF_MIXTURES]
    return [f"validation/fid_{scoring_extractor(extractor)}"]


def number(value: object) -> object:
    """YAML takes 1e-4, which has no dot, for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def apply_overrides(values: Mapping[str, Value], over: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A copy of the nested section `over` with `values` at their paths. Raises InputError for an unknown path."""
    laid = {key: dict(value) if isinstance(value, Mapping) else value for key, value in over.items()}
    for path, value in values.items():
        head, _, tail = path.partition(".")
        known = [key for key, held in laid.items() if not isinstance(held, dict)]
        known += [f"{key}.{inner}" for key, held in laid.items() if isinstance(held, dict) for inner in held]
        if path not in known or path in FIXED:
            can = [one for one in known if one not in FIXED]
            raise InputError(f"{where}.{path}: no hyperparameter that can be swept; {nearest(path, can)}")
        if tail:
            laid[head][tail] = value
        else:
            laid[head] = value
    return laid


def label(values: Mapping[str, Value]) -> str:
    """A point in few words: `clip=0.01 n_critic=5`."""
    return " ".join(
        f"{path.rpartition('.')[2]}={value:.6g}" if isinstance(value, float) else f"{path.rpartition('.')[2]}={value}"
        for path, value in values.items()
    )
