"""The code an exported model is served with; MLflow keeps this file as the model's code, so nothing is pickled."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

MOST_ROWS = 10_000
"""Images of one call, which are computed at once; more come by several calls with other seeds."""


class Sampler(PythonModel):
    """Draws samples: a table of `rows` and `seed` in, images in [-1, 1] out, those of all lines one after the other."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported folder."""
        import gen

        self.family = gen.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Images of shape (n, c, h, w), float32. Raises MlflowException for what is no number of rows, or no seed."""
        import torch

        from gen.family import Noise

        asked = [
            [
                _whole(line["rows"], f"line {number}: rows", 1, MOST_ROWS),
                _whole(line["seed"], f"line {number}: seed", 0),
            ]
            for number, line in enumerate(model_input.to_dict("records"))
        ]
        if not asked or sum(rows for rows, _ in asked) > MOST_ROWS:
            raise _refused(f"rows: {sum(rows for rows, _ in asked):,} in all; use from 1 to {MOST_ROWS:,} for one call")
        with torch.no_grad():
            drawn = [self.family.sample(Noise(seed, "served", rows=rows)) for rows, seed in asked]
        return torch.cat(drawn).numpy()


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
