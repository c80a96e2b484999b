"""Exported models that are not what they say: refused in one line, before anything large is allocated."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import gen
from gen import export
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.training.loop import data_spec
from gen.training.train import train
from tests.training.tiny import run_of


@pytest.fixture
def model(datasets: dict[str, Dataset], tmp_path: Path) -> Path:
    run = run_of("gan", steps=1)
    family = train(run, datasets["ring8"])
    export.save(tmp_path / "model", family, "gan", run.model, data_spec(run, datasets["ring8"]))
    assert gen.load(tmp_path / "model") is not None
    return tmp_path / "model"


def rewrite(model: Path, **model_settings: Any) -> None:
    path = model / "model.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "model": {**described["model"], **model_settings}}))


def test_what_model_json_asks_for_is_not_allocated(model: Path) -> None:
    rewrite(model, width=40_000)  # two layers of 40,000 by 40,000: 12.8 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"weights of another model: .* is F32 \[.*model.json asks for F32 \[40000"):
        gen.load(model)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def weights(model: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(model / "weights.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(model: Path, value: float) -> None:
    loaded = weights(model)
    name = next(iter(loaded))
    loaded[name].flatten()[0] = value
    safetensors.torch.save_file(loaded, model / "weights.safetensors")
    with pytest.raises(InputError, match=f"{name} has values that are not finite"):
        gen.load(model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_type(model: Path, dtype: torch.dtype) -> None:
    changed = {name: tensor.to(dtype) for name, tensor in weights(model).items()}
    safetensors.torch.save_file(changed, model / "weights.safetensors")
    with pytest.raises(InputError, match=r"is B?F\d\d \[.*model.json asks for F32"):
        gen.load(model)


def test_a_weight_too_many_or_too_few(model: Path) -> None:
    loaded = weights(model)
    safetensors.torch.save_file({**loaded, "other": torch.zeros(1)}, model / "weights.safetensors")
    with pytest.raises(InputError, match=r"other is F32 \[1\], model.json asks for nothing"):
        gen.load(model)
    name, _ = loaded.popitem()
    safetensors.torch.save_file(loaded, model / "weights.safetensors")
    with pytest.raises(InputError, match=f"{name} is nothing, model.json asks for F32"):
        gen.load(model)


def test_json_nested_beyond_reading(model: Path) -> None:
    (model / "model.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"model.json: not JSON \(maximum recursion"):
        gen.load(model)
