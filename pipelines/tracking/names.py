"""The names of metrics in MLflow, whose pages group them by what stands before the slash.

    loss/<name>, gradient_norm/<name>   while training
    validation/<score>                  of checkpoints, on the validation split
    validation_floor/<score>            of held-out real data
    test/<metric>                       of the exported model, on the test split; beside it, in groups of their own:
    test_floor/<metric>                 of held-out real data
    test_sd_draws/<metric>              the spread over draws from the same weights
    test_sd_trainings/<metric>, test_mean_trainings/<metric>   over trainings with different seeds
    best/<metric>                       of a sweep's trial: its best evaluation of the metric that decides

Versions before had them without a group: <metric>, <metric>_floor, <metric>_sd_draws and so on.
"""

from collections.abc import Mapping
from typing import TypeVar

from gen.evaluators import number_of

VALIDATION = "validation/"
VALIDATION_FLOOR = "validation_floor/"
LOSS = "loss/"
BESIDE = ("floor", "sd_draws", "sd_trainings", "mean_trainings")
"""What there may be of a metric besides itself."""
T = TypeVar("T")


def of_test(metric: str, beside: str = "") -> str:
    """Of a metric of the test split, or of what there is beside it."""
    return f"test_{beside}/{metric}" if beside else f"test/{metric}"


def best_of(metric: str) -> str:
    """Of the metric that decides in a sweep: a trial's best evaluation."""
    return f"best/{metric.rpartition('/')[2]}"


def now(name: str) -> str:
    """The name that is given now to a metric of a stored run, which an older version may have named."""
    if "/" in name:
        return name
    beside = next((one for one in BESIDE if name.endswith(f"_{one}")), "")
    metric = name.removesuffix(f"_{beside}") if beside else name
    return of_test(metric, beside) if number_of(metric) else name


def renamed(metrics: Mapping[str, T]) -> dict[str, T]:
    """Metrics of a stored run by the names that are given now."""
    older = {now(name): value for name, value in metrics.items() if now(name) != name}
    return {**older, **{name: value for name, value in metrics.items() if now(name) == name}}
