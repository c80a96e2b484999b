"""The folder of a model: what cannot be written or read is one line."""

import json
import multiprocessing
import re
import resource
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

import gen
from gen import export
from gen.errors import InputError
from gen.families import load_family
from gen.family import DataSpec
from tests.families.small import POINTS, small

DATA = DataSpec(POINTS)


def write(folder: Path) -> Path:
    """A small model of points."""
    settings = small("gan", POINTS)[0]
    export.save(folder, load_family("gan", settings, DATA), "gan", settings, DATA)
    return folder


def write_on_a_full_disk(folder: Path) -> None:
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
    try:
        write(folder / "model")
    except InputError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        (folder / "message").write_text(str(error)[:500])


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(target=write_on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join()
    message = (tmp_path / "message").read_text()
    assert message.startswith(f"{tmp_path}/model: the model cannot be written (")
    assert message.endswith("make room there and repeat")
    assert "\n" not in message
    assert not (tmp_path / "model" / "model.json").exists()


def test_an_earlier_models_description_does_not_stand_beside_weights_that_replace_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "conditions.safetensors").unlink()
    (tmp_path / "conditions.safetensors").mkdir()  # written after the weights, and cannot be
    with pytest.raises(InputError, match="the model cannot be written"):
        write(tmp_path)
    with pytest.raises(InputError, match=r"model\.json"):
        gen.load(tmp_path)


def test_json_nested_too_deep_is_one_line(tmp_path: Path) -> None:
    (write(tmp_path) / "model.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match=r"model\.json: not JSON"):
        gen.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model.depth", 10**9, "cannot be built (more than"),
        ("image", [2**62, 1, 1], "cannot be built ("),
        ("image", [10**30, 1, 1], "cannot be built ("),
    ],
)
def test_what_a_folder_asks_for_costs_neither_time_nor_memory(
    field: str, value: object, message: str, tmp_path: Path
) -> None:
    described = json.loads((write(tmp_path) / "model.json").read_text())
    section, _, name = field.rpartition(".")
    (described[section] if section else described)[name] = value
    (tmp_path / "model.json").write_text(json.dumps(described))
    started = time.monotonic()
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        gen.load(tmp_path)
    assert "\n" not in str(raised.value)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("classes", [5, None, ["0", 1]])
def test_notes_of_another_kind_cost_no_model(classes: object, tmp_path: Path) -> None:
    described = json.loads((write(tmp_path) / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**described, "dataset": {"classes": classes}}))
    assert gen.load(tmp_path).classes == (("0", "1") if isinstance(classes, list) else ())


@pytest.mark.parametrize("rows", [(0,), (2, 3), ()])
def test_conditions_without_equal_rows_are_one_line(rows: tuple[int, ...], tmp_path: Path) -> None:
    columns = {f"extras.{name}": torch.zeros(count) for name, count in enumerate(rows)} or {"labels": torch.tensor(1)}
    safetensors.torch.save_file(columns, write(tmp_path) / export.CONDITIONS)
    with pytest.raises(InputError, match="have no rows, or not equally many"):
        gen.load(tmp_path)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [0, 8], [-1, 0], [[0], [1]]])
def test_conditions_that_are_no_classes_are_one_line(labels: list[object], tmp_path: Path) -> None:
    data = DataSpec(POINTS, classes=8)
    settings = small("cgan", POINTS)[0]
    export.save(tmp_path, load_family("cgan", settings, data), "cgan", settings, data)
    safetensors.torch.save_file({"labels": torch.tensor(labels)}, tmp_path / export.CONDITIONS)
    with pytest.raises(InputError, match="labels that are no classes from 0 to 7; export the model again"):
        gen.load(tmp_path)
