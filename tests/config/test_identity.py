"""What makes a run the same run, whatever a params file writes out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.config.load import load_params
from gen.config.params import Run
from gen.training.identity import identity

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params() -> dict[str, Any]:
    """The project's own params.yaml, whose first digits run is edited below."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return values


RUN = "digits_dcgan"


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"batch_size": 32},
        {"ema": 0.5},
        {"model": {"lr": 1e-3}},
        {"compute": {"workers": 2}},
        {"compute": {"threads": 3}},
        {"compute": {"precision": "bfloat16"}},
    ],
)
def test_whatever_changes_weights_changes_the_identity(change: dict[str, Any], params: dict[str, Any]) -> None:
    values = params["runs"][RUN]
    changed = {
        key: {**values.get(key, {}), **value} if isinstance(value, dict) else value for key, value in change.items()
    }
    assert identity(Run(**values), "data", "cpu") != identity(Run(**values | changed), "data", "cpu")


def test_what_is_left_to_its_default_and_what_is_written_out_is_one_run(params: dict[str, Any], tmp_path: Path) -> None:
    whole = load_params(ROOT / "params.yaml").run(RUN)
    params["runs"][RUN] = whole.model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert identity(load_params(tmp_path / "params.yaml").run(RUN), "data", "cpu") == identity(whole, "data", "cpu")


def test_a_run_is_six_lines(params: dict[str, Any], tmp_path: Path) -> None:
    params["runs"]["mine"] = {
        "family": "dcgan",
        "dataset": "digits",
        "group": "digits",
        "resolution": 16,
        "steps": 2000,
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    run = load_params(tmp_path / "params.yaml").run("mine")
    assert run.model == {"latent_dim": 100, "width": 128, "k": 1, "lr": 2e-4, "beta1": 0.5}, "the paper's"
    assert (run.batch_size, run.seeds, run.ema, run.compute.threads) == (64, 1, None, 1)


def test_steps_data_and_device_in_the_identity(params: dict[str, Any]) -> None:
    run = Run(**params["runs"][RUN])
    whole = identity(run, "data", "cpu")
    assert whole == identity(run.model_copy(update={"steps": run.steps + 1, "group": "other"}), "data", "cpu")
    assert whole != identity(run, "other data", "cpu")
    assert whole != identity(run, "data", "cuda")


def test_code_and_starting_weights_are_in_the_identity(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"1")
    run = Run(**{**params["runs"][RUN], "warm_start": str(tmp_path)})
    first = identity(run, "data", "cpu")
    (tmp_path / "weights.safetensors").write_bytes(b"2")
    second = identity(run, "data", "cpu")
    assert first != second
    monkeypatch.setattr("gen.training.identity.code_digest", lambda *roots: "other code")
    assert second != identity(run, "data", "cpu")


@pytest.mark.parametrize("written", ["2e-4", "2E-4", "0.0002", "2.0e-4", "+2e-4", "'2e-4'"])
def test_one_number_in_all_its_forms_is_one_run(written: str, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("lr: 2.0e-4", f"lr: {written}"))
    expected, found = (load_params(path).run(RUN) for path in (ROOT / "params.yaml", tmp_path / "params.yaml"))
    assert found.model["lr"] == 0.0002
    assert identity(found, "data", "cpu") == identity(expected, "data", "cpu")
