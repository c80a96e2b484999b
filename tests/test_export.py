"""The folder of a model: what cannot be written or read is one line."""

import multiprocessing
import resource
from pathlib import Path

import pytest
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


def test_json_nested_too_deep_is_one_line(tmp_path: Path) -> None:
    (write(tmp_path) / "model.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match=r"model\.json: not JSON"):
        gen.load(tmp_path)
