"""A trained model in MLflow's registry, from where it can be loaded and served."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from gen import export
from gen.abilities import Samples
from pipelines.model_folder import weights_digest
from pipelines.store import tracking_uri

REGISTERED = "registered_weights_sha256"
"""Tag of a run: of the model that was registered last."""
SERVED = Path(__file__).with_name("served_model.py")
HOW_TO_SERVE = """Draws `rows` images in [-1, 1] from `seed`. After `mlflow.set_tracking_uri(...)`:

    model = mlflow.pyfunc.load_model("models:/{name}/latest")
    images = model.predict(pandas.DataFrame({{"rows": [64], "seed": [0]}}))
"""
"""Description of a registered model."""


def register(store: MlflowClient, run_id: str, name: str, folder: Path) -> None:
    """Give a run its exported model, registered under `name` if it samples; nothing when it has it already."""
    weights = weights_digest(folder)
    if store.get_run(run_id).data.tags.get(REGISTERED) == weights:
        return  # exported again: no new version
    if not isinstance(export.load(folder), Samples):  # it cannot be served
        store.log_artifacts(run_id, str(folder), "model")
        return
    mlflow.set_tracking_uri(tracking_uri())
    image = export.describe(folder)["image"]
    example = {"rows": [16], "seed": [0]} | asked_class(folder)
    asked = Schema([ColSpec("long", name) for name in example])
    with mlflow.start_run(run_id=run_id):
        mlflow.pyfunc.log_model(
            name=name,
            python_model=str(SERVED),
            artifacts={"model": str(folder)},
            code_paths=[str(Path(export.__file__).parent)],
            signature=ModelSignature(asked, Schema([TensorSpec(np.dtype("float32"), (-1, *image))])),
            pip_requirements=[
                "torch",
                "safetensors",
                "pydantic",
                "jaxtyping",
                "pyyaml",
                "pyarrow",
                "pandas",
                "numpy",
            ],
            input_example=pd.DataFrame(example),
            registered_model_name=name,
        )
        store.update_registered_model(name, HOW_TO_SERVE.format(name=name))
        for file in ("grid.png", "metrics.json"):
            mlflow.log_artifact(str(folder / file))
    store.set_tag(run_id, REGISTERED, weights)


def asked_class(folder: Path) -> dict[str, list[int]]:
    """The column of an example that names the class, of an exported model that is told nothing else; else none."""
    told = export.conditions(folder)
    return {} if told is None or told.labels is None or told.extras else {"label": [0]}
