"""The code an exported model is served with; MLflow keeps this file as the model's code, so nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

MOST_ROWS = 10_000
"""Images of one call, which are computed at once; more come by several calls with other seeds."""


class Sampler(PythonModel):
    """Draws samples: a table of `rows` and `seed` in, images in [-1, 1] out, those of all lines one after the other.

    A family that is told the class has a column `label` besides, the number of the class; one that is told something
    else is told its examples. One that translates pictures takes those instead, an array of shape (n, c, h, w) in
    [-1, 1], with a parameter `seed` of what is random about the answer, and `back` where it translates both ways.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported folder."""
        import gen

        self.model = gen.load(Path(context.artifacts["model"]))
        self.family, self.examples, self.classes = self.model.family, self.model.examples, self.model.data.classes

    def predict(self, context: PythonModelContext, model_input: Any, params: Any = None) -> np.ndarray:
        """Images of shape (n, c, h, w), float32, of a table or, where pictures are translated, of an array.

        Raises MlflowException for what is no number of rows, no seed, or no picture.
        """
        import torch

        if isinstance(model_input, np.ndarray):
            options = params or {}
            return self._translated(
                model_input, _whole(options.get("seed", 0), "seed", 0), bool(options.get("back", False))
            )

        from gen.conditions import draw
        from gen.family import Noise

        lines = model_input.to_dict("records")
        asked = [
            (
                _whole(line["rows"], f"line {number}: rows", 1, MOST_ROWS),
                _whole(line["seed"], f"line {number}: seed", 0),
            )
            for number, line in enumerate(lines)
        ]
        if not asked or sum(rows for rows, _ in asked) > MOST_ROWS:
            raise _refused(f"rows: {sum(rows for rows, _ in asked):,} in all; use from 1 to {MOST_ROWS:,} for one call")
        told = [
            self._condition(line, number, rows)
            for number, (line, (rows, _)) in enumerate(zip(lines, asked, strict=True))
        ]
        with torch.no_grad():
            drawn = [
                draw(self.family, Noise(seed, "served", rows=rows), condition)
                for (rows, seed), condition in zip(asked, told, strict=True)
            ]
        return torch.cat(drawn).numpy()

    def _translated(self, given: np.ndarray, seed: int, back: bool) -> np.ndarray:
        """What becomes of pictures. Raises MlflowException for numbers outside of [-1, 1], and for too many."""
        import torch

        if not 0 < len(given) <= MOST_ROWS:
            raise _refused(f"{len(given):,} pictures; use from 1 to {MOST_ROWS:,} for one call")
        if not (abs(given) <= 1).all():
            raise _refused("pictures have values in [-1, 1]: divide those of 0 to 255 by 127.5 and take 1 away")
        return self.model.translate(torch.from_numpy(given.astype(np.float32)), seed=seed, back=back).numpy()

    def _condition(self, line: Mapping[Any, Any], number: int, rows: int) -> Any:
        """What the samples of a line are told. Raises MlflowException for what is no class."""
        import torch

        from gen.conditions import spread
        from gen.family import Condition

        if self.examples is None or self.examples.labels is None or self.examples.extras:
            return spread(self.examples, rows)
        label = _whole(line["label"], f"line {number}: label", 0, self.classes - 1)
        return Condition(torch.full((rows,), label))


def _whole(value: object, what: str, least: int, most: int = 2**63 - 1) -> int:
    """`value` as a whole number from `least` to `most`. Raises MlflowException, in one line, when it is none."""
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number // 1:
        raise _refused(f"{what}: {number!r}; use a whole number of at least {least}")
    if not least <= number <= most:
        raise _refused(f"{what}: {number:,.0f}; use {least:,} to {most:,}")
    return int(number)


def _refused(line: str) -> MlflowException:
    """What a server answers with status 400."""
    return MlflowException(line, INVALID_PARAMETER_VALUE)


mlflow.models.set_model(Sampler())
