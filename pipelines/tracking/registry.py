"""MLflow's registry: each run registers its model, and the alias `best` is the one of what params.yaml has."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import gen
from gen import export
from gen.abilities import Cyclic, Samples
from gen.family import Condition
from pipelines.reports.model_folder import weights_digest
from pipelines.tracking.notes import describe_run
from pipelines.tracking.store import tracking_uri

BEST = "best"
REGISTERED = "registered_weights_sha256"
"""Tag of a run: of the model that was registered last."""
SERVED = Path(__file__).with_name("served_model.py")
NEEDS = ["torch", "safetensors", "pydantic", "jaxtyping", "pyyaml", "pyarrow", "pandas", "numpy"]
HOW_TO_SERVE = """Draws `rows` images in [-1, 1] from `seed`{asked}. After `mlflow.set_tracking_uri(...)`:

    model = mlflow.pyfunc.load_model("models:/{name}@best")
    images = model.predict(pandas.DataFrame({example}))

`best` is the model of what params.yaml has; experiments with other hyperparameters are versions beside it, which say
in their tags what they changed.
"""
"""Description of a registered model."""
HOW_TO_TRANSLATE = """Translates pictures, given as numbers in [-1, 1]. After `mlflow.set_tracking_uri(...)`:

    model = mlflow.pyfunc.load_model("models:/{name}@best")
    images = model.predict(numpy.zeros((4, {shape}), "float32"), params={{"seed": 0}})

`best` is the model of what params.yaml has; experiments with other hyperparameters are versions beside it, which say
in their tags what they changed.
"""
"""Of one that translates pictures."""
OF_CLASS = ", of the class whose number is `label`"
"""In there, of one that is told the class."""


def register(store: MlflowClient, run_id: str, name: str, folder: Path, *, change: str, experiment: str) -> None:
    """Register the model in `folder` as the newest version of `name`, if it samples and is not registered already.

    Args:
        store: a client of the store.
        run_id: the run that trained it.
        name: of the registered model.
        folder: the exported model.
        change: what its run has different from params.yaml; "" for nothing, and then it is the one to be used.
        experiment: DVC's name of the experiment that trained it, if there was one.
    """
    weights = weights_digest(folder)
    kept = not (change and experiment)
    if store.get_run(run_id).data.tags.get(REGISTERED) == weights:  # exported again: no new version
        mine = store.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        if kept and mine:  # what an experiment tried, perhaps, is now what params.yaml has
            store.set_registered_model_alias(name, BEST, max(mine, key=lambda one: int(one.version)).version)
        return
    store.log_artifact(run_id, str(folder / "grid.png"))
    describe_run(store, run_id, {})
    if not isinstance(export.load(folder), Samples):  # it cannot be served
        store.log_artifacts(run_id, str(folder), "model")
        return
    mlflow.set_tracking_uri(tracking_uri())
    example, signature = asked_of(folder)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(SERVED),
            artifacts={"model": str(folder)},
            code_paths=[str(Path(export.__file__).parent)],
            signature=signature,
            pip_requirements=NEEDS,
            input_example=example,
            registered_model_name=name,
        )
        mlflow.log_artifact(str(folder / "metrics.json"))
    version = str(logged.registered_model_version)
    store.update_registered_model(name, how_to_serve(name, example))
    for tag, value in (("change", change), ("dvc_experiment", experiment)):
        if value:
            store.set_model_version_tag(name, version, tag, value)
    if kept:
        store.set_registered_model_alias(name, BEST, version)
    store.set_tag(run_id, REGISTERED, weights)


def asked_of(folder: Path) -> tuple[pd.DataFrame | np.ndarray, ModelSignature]:
    """An example of what an exported model is asked, and what it takes and answers."""
    model = gen.load(folder)
    answer = Schema([TensorSpec(np.dtype("float32"), (-1, *model.data.image))])
    if (shape := model.translates) is not None:
        pictures = Schema([TensorSpec(np.dtype("float32"), (-1, *shape))])
        back = [ParamSpec("back", DataType.boolean, False)] if isinstance(model.family, Cyclic) else []
        params = ParamSchema([ParamSpec("seed", DataType.long, 0), *back])
        return np.zeros((1, *shape), np.float32), ModelSignature(pictures, answer, params)
    example = {"rows": [16], "seed": [0]} | asked_class(model.examples)
    # Of whole numbers MLflow's server would make 2 of 2.5 before the model sees it, which checks them itself.
    asked = Schema([ColSpec(AnyType(), column) for column in example])  # type: ignore[no-untyped-call]
    return pd.DataFrame(example), ModelSignature(asked, answer)


def how_to_serve(name: str, example: pd.DataFrame | np.ndarray) -> str:
    """Description of the registered model of that name, which is asked as in the example."""
    if isinstance(example, np.ndarray):
        return HOW_TO_TRANSLATE.format(name=name, shape=", ".join(map(str, example.shape[1:])))
    asked = OF_CLASS if "label" in example else ""
    columns = {**example.to_dict("list"), "rows": [64]}
    return HOW_TO_SERVE.format(name=name, asked=asked, example=json.dumps(columns))


def asked_class(told: Condition | None) -> dict[str, list[int]]:
    """The column of an example that names the class, of a model that is told nothing else; else none."""
    return {} if told is None or told.labels is None or told.extras else {"label": [0]}
