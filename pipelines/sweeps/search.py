"""Which trials a sweep has: points chosen by Optuna, each with several seeds, handed to Ray Tune one by one.

Every point is written down before its first trial begins. A sweep that is started again begins with the points it had,
whose trials are recalled or go on, so nothing is lost, and nothing is there twice.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search import Searcher

from gen.config.sweep import Axis, Sweep, Value
from pipelines.reports.tables import mean_sd

Point = dict[str, Value]
Rows = Sequence[Mapping[str, Any]]
ATTEMPTS, MANY = 1000, 10**6
"""How often a point that was there before is drawn again; and more points than any sweep has."""


class Trial(NamedTuple):
    """One training: a point and a seed, both counted from zero."""

    point: int
    values: Point
    seed: int


def distribution(axis: Axis) -> BaseDistribution:
    """The axis in Optuna's words."""
    if axis.values is not None:
        return CategoricalDistribution(axis.values)
    assert axis.low is not None
    assert axis.high is not None
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    return FloatDistribution(float(axis.low), float(axis.high), log=axis.log)


class Points:
    """The points of a sweep in their order. Those that are known come first."""

    def __init__(self, sweep: Sweep, known: list[Point]) -> None:
        self.sweep = sweep
        self.known = list(known)
        self.grid = list(sweep.grid()) if sweep.search == "grid" else []
        self.asked: list[optuna.Trial] = []
        self.exhausted = False
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = len(known)  # else it would draw again what it drew
        self.tpe = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, constant_liar=True)
        self.study = optuna.create_study(direction="minimize" if sweep.mode == "min" else "maximize")

    @property
    def over(self) -> bool:
        """Whether there are no more."""
        return self.exhausted or len(self.asked) >= (len(self.grid) or (self.sweep.points or 0))

    def next(self) -> Point | None:
        """The next one; None when there are no more."""
        number = len(self.asked)
        if self.over:
            return None
        fixed = self.known[number] if number < len(self.known) else self.grid[number] if self.grid else None
        if fixed is not None:
            self.study.enqueue_trial(fixed)
        for attempt in range(ATTEMPTS):
            # A random point depends on its number alone: a search that was killed ends with those of any other. TPE's
            # depend on what was known when; asked again for one that was there before, it would only repeat it.
            by_tpe = self.sweep.search == "tpe" and not attempt
            self.study.sampler = self.tpe if by_tpe else optuna.samplers.RandomSampler(number + attempt * MANY)
            asked = self.study.ask({path: distribution(axis) for path, axis in self.sweep.space.items()})
            point = dict(asked.params)
            if point not in self.known[:number]:
                break
            self.study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            print(f"all {number} points of the space have been taken; points asks for {self.sweep.points}", flush=True)
            self.exhausted = True
            return None
        self.asked.append(asked)
        if number >= len(self.known):
            self.known.append(point)
        return point

    def tell(self, number: int, values: list[float], ended_at: int) -> None:
        """The metric of a point's trials, without those that have none; when all of them have none, it failed.

        Of trials that were ended early, after `ended_at` steps, TPE knows that it is no result of a whole one.
        """
        asked, states = self.asked[number], optuna.trial.TrialState
        if not values:
            self.study.tell(asked, state=states.FAIL)
        elif ended_at < self.sweep.steps:
            asked.report(mean_sd(values)[0], ended_at)
            self.study.tell(asked, state=states.PRUNED)
        else:
            self.study.tell(asked, mean_sd(values)[0])


class Search(Searcher):
    """Ray Tune's view of the points: a configuration for each trial that it has room for."""

    def __init__(
        self,
        sweep: Sweep,
        known: list[Point],
        prepare: Callable[[Trial, list[Point]], Mapping[str, Any]],
        without_value: Callable[[Trial], bool],
        recall: Callable[[str, Trial], Rows | None],
    ) -> None:
        """A search that begins with the points it had.

        Args:
            sweep: what is searched.
            known: its points of before.
            prepare: writes the points down and makes a trial's configuration.
            without_value: knows of a trial that is over whether it has no result.
            recall: has the rows of a trial that was over before.
        """
        super().__init__(metric=sweep.metric, mode=sweep.mode)
        self.sweep = sweep
        self.points = Points(sweep, known)
        self.remembered = len(known)
        self.prepare = prepare
        self.without_value = without_value
        self.recall = recall
        self.waiting: list[Trial] = []
        self.begun: dict[str, Trial] = {}
        self.best: dict[str, float] = {}
        self.reached: dict[str, int] = {}
        self.left: dict[int, int] = {}
        self.infinite: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it is given, for a way of starting again that is not ours."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial that is not over already."""
        while self.waiting or self._next_point():
            trial = self.waiting.pop(0)
            configuration = dict(self.prepare(trial, self.points.known))
            name = f"{trial_id} recalled {len(self.begun)}"
            rows = self.recall(name, trial)
            if rows is None:
                self.begun[trial_id] = trial
                return configuration
            self.begun[name] = trial
            for row in rows:
                self.on_trial_result(name, row)
            self.on_trial_complete(name)
        return Searcher.FINISHED

    @property
    def over(self) -> bool:
        """Whether every trial has begun."""
        return not self.waiting and (self.points.over or self._spent())

    def _spent(self) -> bool:
        spent = self.sweep.budget is not None and sum(self.reached.values()) >= self.sweep.budget
        return spent and len(self.points.asked) >= self.remembered

    def _next_point(self) -> bool:
        number = len(self.points.asked)
        if self._spent():
            return False
        values = self.points.next()
        if values is None:
            return False
        self.waiting = [Trial(number, values, seed) for seed in range(self.sweep.seeds)]
        self.left[number] = self.sweep.seeds
        return True

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Keep the best evaluation; a trial with one that is not finite has none."""
        self.reached[trial_id] = max(self.reached.get(trial_id, 0), int(result["step"]))
        value = result.get(self.sweep.metric)
        if value is not None and not math.isfinite(value):
            self.infinite.add(trial_id)
        elif value is not None:
            choose = min if self.sweep.mode == "min" else max
            self.best[trial_id] = choose(self.best.get(trial_id, value), value)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna of a point once all its seeds are over."""
        if result and "step" in result:  # Ray Tune does not show the one by which the scheduler ends a trial
            self.on_trial_result(trial_id, result)
        number = self.begun[trial_id].point
        if error or trial_id in self.infinite or self.without_value(self.begun[trial_id]):
            self.best.pop(trial_id, None)
        self.left[number] -= 1
        if self.left[number] == 0:
            ids = [one for one, trial in self.begun.items() if trial.point == number]
            known = [one for one in ids if one in self.best]
            ended_at = min((self.reached[one] for one in known), default=0)
            self.points.tell(number, [self.best[one] for one in known], ended_at)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the points are written down by `prepare`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a sweep that is started again is a new search that begins with the known points."""
