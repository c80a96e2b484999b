"""A registered model as people ask it: through pyfunc, and through the server of `mlflow models serve`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import invocations

import gen
from gen import export
from gen.errors import InputError
from gen.families import load_family
from gen.family import Condition, DataSpec
from pipelines.commands.models import model_at
from pipelines.tracking.registry import register
from tests.families.small import IMAGES, POINTS, data_of, small

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # MLflow's, of its example


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PyFuncModel]:
    """A small model of points, registered as a run registers it."""
    folder = tmp_path_factory.mktemp("served")
    uri, data, settings = f"sqlite:///{folder}/mlflow.db", DataSpec(POINTS), small("gan", POINTS)[0]
    model = folder / "model"
    export.save(model, load_family("gan", settings, data), "gan", settings, data)
    for name in ("grid.png", "metrics.json"):
        (model / name).write_text("{}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        store = MlflowClient(uri)
        experiment = store.create_experiment("toys", (folder / "artifacts").as_uri())
        run = store.create_run(experiment).info.run_id
        register(store, run, "ring", model, change="clip=0.02", experiment="lofty-cove")
        assert store.get_registered_model("ring").aliases == {}
        register(store, run, "ring", model, change="", experiment="")  # once the experiment is committed
        assert store.get_registered_model("ring").aliases == {"best": 1}
        assert len(store.search_model_versions("name = 'ring'")) == 1
        yield mlflow.pyfunc.load_model("models:/ring@best")


@pytest.mark.parametrize("family", ["gan", "cgan"])
def test_the_lines_of_its_description_draw_images(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, data, settings = f"sqlite:///{tmp_path}/mlflow.db", DataSpec(POINTS, classes=8), small(family, POINTS)[0]
    told = Condition(torch.arange(8)) if family == "cgan" else None
    export.save(tmp_path / "model", load_family(family, settings, data), family, settings, data, condition=told)
    for name in ("grid.png", "metrics.json"):
        (tmp_path / "model" / name).write_text("{}", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store = MlflowClient(uri)
    run = store.create_run(store.create_experiment("toys", (tmp_path / "artifacts").as_uri())).info.run_id
    register(store, run, "ring", tmp_path / "model", change="", experiment="")
    description = store.get_registered_model("ring").description
    assert ("of the class whose number is `label`" in description) == (family == "cgan")
    lines = [line.strip() for line in description.splitlines() if line.startswith("    ")]
    known: dict[str, Any] = {"mlflow": mlflow, "pandas": pd}
    exec("\n".join(lines), known)
    assert known["images"].shape == (64, 2, 1, 1)


def registered(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small model of images, registered as `small` from the folder `model`. Returns its description."""
    settings, data = small(family)[0], data_of(IMAGES)
    export.save(tmp_path / "model", load_family(family, settings, data).train(False), family, settings, data)
    for name in ("grid.png", "metrics.json"):
        (tmp_path / "model" / name).write_text("{}", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/mlflow.db")
    store = MlflowClient(uri)
    run = store.create_run(store.create_experiment("toys", (tmp_path / "artifacts").as_uri())).info.run_id
    register(store, run, "small", tmp_path / "model", change="", experiment="")
    return str(store.get_registered_model("small").description)


def test_a_family_that_translates_takes_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    description = registered("pix2pix", tmp_path, monkeypatch)
    lines = [line.strip() for line in description.splitlines() if line[:4] == "    "]
    known: dict[str, Any] = {"mlflow": mlflow, "numpy": np}
    exec("\n".join(lines), known)
    assert known["images"].shape == (4, 1, 16, 16)
    expected = gen.load(tmp_path / "model").translate(torch.zeros(4, *IMAGES)).numpy()
    assert np.array_equal(known["images"], expected)
    with pytest.raises(MlflowException, match=r"^pictures have values in \[-1, 1\]: "):
        known["model"].predict(np.full((1, *IMAGES), 2, np.float32))
    answer = invocations(
        json.dumps({"inputs": np.zeros((2, *IMAGES)).tolist()}),
        "application/json",
        known["model"],
        known["model"].metadata.get_input_schema(),
    )
    assert np.array(json.loads(answer.response)["predictions"]).shape == (2, 1, 16, 16)


def test_a_family_that_translates_both_ways_takes_pictures_of_both_domains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered("cycle_gan", tmp_path, monkeypatch)
    served, model = mlflow.pyfunc.load_model("models:/small@best"), gen.load(tmp_path / "model")
    pictures = np.zeros((2, *IMAGES), np.float32)
    for back in (False, True):
        expected = model.translate(torch.from_numpy(pictures), back=back).numpy()
        assert np.array_equal(served.predict(pictures, params={"back": back}), expected)


WRONG: list[tuple[list[Any], str]] = [
    ([-1], "line 0: rows: -1; "),
    ([2.5], r"line 0: rows: 2\.5; use a whole number"),
    ([2, float("inf")], "line 1: rows: inf; use a whole number"),
    ([2, None], "line 1: rows: nan; use a whole number"),
    ([True], "line 0: rows: True; use a whole number"),
    (["3"], "line 0: rows: '3'; use a whole number"),
    ([0], "line 0: rows: 0; "),
    ([10**12], "line 0: rows: 1,000,000,000,000"),
    ([9000] * 2, "rows: 18,000 in all"),
]


@pytest.mark.parametrize(("rows", "message"), WRONG)
def test_what_is_no_number_of_rows_is_one_line(rows: list[Any], message: str, served: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match=message):
        served.predict(pd.DataFrame({"rows": rows, "seed": [0] * len(rows)}))
    with pytest.raises(MlflowException, match=r"line 0: seed: 0\.5; "):
        served.predict(pd.DataFrame({"rows": [1], "seed": [0.5]}))


def test_whole_numbers_of_any_type_are_drawn(served: PyFuncModel) -> None:
    for rows in ([3, 2], [3.0, 2.0]):
        assert served.predict(pd.DataFrame({"rows": rows, "seed": [0, 1]})).shape == (5, 2, 1, 1)


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "inputs"])
def test_the_server_refuses_a_fraction_of_a_row(form: str, served: PyFuncModel) -> None:
    schema = served.metadata.get_input_schema()
    answer = invocations(asked(form, 2), "application/json", served, schema)
    assert len(json.loads(answer.response)["predictions"]) == 2
    with pytest.raises(MlflowException, match=r"line 0: rows: 2\.5; use a whole number") as refused:
        invocations(asked(form, 2.5), "application/json", served, schema)
    assert refused.value.get_http_status_code() == 400


def asked(form: str, rows: float) -> str:
    """A request."""
    content: dict[str, Any] = {
        "dataframe_split": {"columns": ["rows", "seed"], "data": [[rows, 0]]},
        "dataframe_records": [{"rows": rows, "seed": 0}],
        "inputs": {"rows": [rows], "seed": [0]},
    }
    return json.dumps({form: content[form]})


def test_commands_find_a_registered_model_by_its_address(served: PyFuncModel) -> None:
    family, run = served.unwrap_python_model().family, served.metadata.run_id
    with torch.no_grad():
        expected = family.sample(gen.Noise(2, rows=3))
    for address in ("models:/ring@best", "models:/ring/1", f"runs:/{run}/ring"):
        assert torch.equal(model_at(address).sample(3, seed=2), expected), address
    for address, message in (
        ("models:/ring@worst", r"^models:/ring@worst: .*alias worst not found"),
        ("models:/rings/1", r"^models:/rings/1: .*rings"),
        ("runs:/0123/ring", r"^runs:/0123/ring: .*0123"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            model_at(address)
        assert "\n" not in str(refused.value)


def test_without_a_store_there_is_no_registered_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match=r"^models:/ring@best: no run was tracked in this checkout"):
        model_at("models:/ring@best")
    assert list(tmp_path.iterdir()) == []
