"""The code an exported model is served with; MLflow keeps this file as the model's code, so nothing is pickled."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class Sampler(PythonModel):
    """Draws samples: a table of `rows` and `seed` in, images in [-1, 1] out, those of all lines one after the other."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported folder."""
        import gen

        self.family = gen.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Images of shape (n, c, h, w), float32."""
        import torch

        from gen.family import Noise

        with torch.no_grad():
            lines = zip(model_input["rows"], model_input["seed"], strict=True)
            drawn = [self.family.sample(Noise(int(seed), "served", rows=int(rows))) for rows, seed in lines]
        return torch.cat(drawn).numpy()


mlflow.models.set_model(Sampler())
