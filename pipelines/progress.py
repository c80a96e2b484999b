"""How a stage shows its progress: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Never

from tqdm import tqdm

from gen.sweep import label
from pipelines.sweep_table import Table

SECONDS_BETWEEN_LINES = 10.0
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}s{postfix}"
"""Without tqdm's own time left, which counts Ray's start, and what is told again as made since."""


class Progress:
    """Progress of one run in steps, with its speed, losses and the time left."""

    def __init__(self, name: str, steps: int, begun: int = 0) -> None:
        self.name = name
        self.steps = steps
        self.reached = begun
        """What comes of steps up to this one was told before: a run that goes on tells its past again."""
        self.last_line = time.monotonic()
        if begun:
            said = "is exported again" if begun == steps else f"goes on from step {begun}/{steps}"
            print(f"{name}: {said}", flush=True)
        self.bar = _bar(name, steps, "step")

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """Nothing: it shows numbers."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Where the run is; `values` as its Observer gets them."""
        if "images_per_second" not in values or step <= self.reached:
            return
        self.reached = step
        losses = {name.removeprefix("loss/"): value for name, value in values.items() if name.startswith("loss/")}
        left = (self.steps - step) / values["steps_per_second"]
        said = f"{values['images_per_second']:.0f} images/s, {_few(losses)}, {left:.0f} s left"
        if self.bar is not None:
            self.bar.n = step
            self.bar.set_postfix_str(said)
            return
        now = time.monotonic()
        if now - self.last_line < SECONDS_BETWEEN_LINES and step < self.steps:
            return
        self.last_line = now
        print(f"{self.name}: step {step}/{self.steps}, {said}", flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()


class SweepProgress:
    """Progress of a sweep: what is done and running, the best so far, the time left if all were trained to their end.

    A sweep with a budget is as far as the steps of its trials are, any other as its trials.
    """

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.table = table
        self.trials = table.sweep.trials()
        whole = self.trials * table.sweep.steps
        self.budget = min(whole, table.sweep.budget) if table.sweep.budget else None
        self.whole = self.budget or whole
        """Steps there are at most."""
        self.recalled = 0
        """Steps made before the sweep was started again: they took none of the time since."""
        self.start = self.last_line = time.monotonic()
        self.bar = _bar(name, self.budget or self.trials, "step" if self.budget else "trial")

    def show(self) -> None:
        """Where the sweep is."""
        now, done = time.monotonic(), self.table.done
        reached = sum(record.reached for record in self.table.records.values())
        if self.bar is not None:
            self.bar.n = min(reached, self.budget) if self.budget else done
            self.bar.set_postfix_str(self._said(now))
        elif now - self.last_line >= SECONDS_BETWEEN_LINES or done == self.trials:
            self.last_line = now
            where = f"{done} trials, {reached}/{self.budget} steps" if self.budget else f"{done}/{self.trials} trials"
            print(f"{self.name}: {where}, {self._said(now)}", flush=True)

    def _said(self, now: float) -> str:
        records = self.table.records.values()
        gone = sum(record.reached if self.budget else record.gone for record in records)
        best = self.table.best
        said = [f"{len(records) - self.table.done} running"]
        said += [f"best {best.best[1]:.4g} ({label(best.trial.values)})"] if best and best.best else []
        made = gone - self.recalled
        said += [f"{(now - self.start) / made * max(0, self.whole - gone):.0f} s left"] if made > 0 else []
        return ", ".join(said)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()


def _bar(name: str, total: int, unit: str) -> "tqdm[Never] | None":
    """A bar, on a terminal."""
    if not sys.stderr.isatty():
        return None
    return tqdm(total=total, desc=name, unit=unit, dynamic_ncols=True, bar_format=BAR)


def _few(losses: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in list(losses.items())[:3])
