"""How a stage shows its progress: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Never

from tqdm import tqdm

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
            message = "is exported again" if begun == steps else f"goes on from step {begun}/{steps}"
            print(f"{name}: {message}", flush=True)
        self.bar = bar(name, steps, "step")

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """Nothing: it shows numbers."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Where the run is; `values` as its Observer gets them."""
        if "images_per_second" not in values or step <= self.reached:
            return
        self.reached = step
        losses = {name.removeprefix("loss/"): value for name, value in values.items() if name.startswith("loss/")}
        left = (self.steps - step) / values["steps_per_second"]
        message = f"{values['images_per_second']:.0f} images/s, {_few(losses)}, {left:.0f} s left"
        if self.bar is not None:
            self.bar.n = step
            self.bar.set_postfix_str(message)
            return
        now = time.monotonic()
        if now - self.last_line < SECONDS_BETWEEN_LINES and step < self.steps:
            return
        self.last_line = now
        print(f"{self.name}: step {step}/{self.steps}, {message}", flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()


def bar(name: str, total: int, unit: str) -> "tqdm[Never] | None":
    """A bar, on a terminal."""
    if not sys.stderr.isatty():
        return None
    return tqdm(total=total, desc=name, unit=unit, dynamic_ncols=True, bar_format=BAR)


def _few(losses: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in list(losses.items())[:3])
