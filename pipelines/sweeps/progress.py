"""How a sweep shows its progress: a bar on a terminal, a plain line now and then elsewhere."""

import time

from gen.config.sweep import label
from pipelines.runtime.progress import SECONDS_BETWEEN_LINES, bar
from pipelines.sweeps.table import Table


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
        self.bar = bar(name, self.budget or self.trials, "step" if self.budget else "trial")

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
        message = [f"{len(records) - self.table.done} running"]
        message += [f"best {best.best[1]:.4g} ({label(best.trial.values)})"] if best and best.best else []
        made = gone - self.recalled
        message += [f"{(now - self.start) / made * max(0, self.whole - gone):.0f} s left"] if made > 0 else []
        return ", ".join(message)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()
