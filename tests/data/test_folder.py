"""A disk that takes no more, wherever an output is written."""

import resource
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gen.data.download import copy
from gen.data.folder import whole
from gen.errors import InputError

FULL = Path("/dev/full")
"""To it the system lets nothing be written, as to a disk that is full."""
full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@full
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "digits"
    out.mkdir()
    refused = pytest.raises(InputError, match=rf"^{out}: cannot be written \(.*No space left.*\); make room there and")
    with refused as message, whole(out) as partial:
        (partial / "file").symlink_to(FULL)
        (partial / "file").write_text("x", encoding="utf-8")
    assert "\n" not in str(message.value)
    assert [*tmp_path.iterdir()] == [out]


def test_weights_that_the_disk_does_not_take_are_one_line(tmp_path: Path) -> None:
    out, (least, most) = tmp_path / "digits", resource.getrlimit(resource.RLIMIT_FSIZE)

    def write() -> None:
        with whole(out) as partial:
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, most))
            try:
                safetensors.torch.save_file({"weight": torch.ones(1000)}, partial / "classifier.safetensors")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))

    with pytest.raises(InputError, match=rf"^{out}: cannot be written \(.*File too large"):
        write()
    assert not [*tmp_path.iterdir()]


@full
def test_a_full_disk_of_downloads_is_named(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x", encoding="utf-8")
    (tmp_path / "target").symlink_to(FULL)
    with pytest.raises(InputError, match=f"^{tmp_path}/target: cannot be written"):
        copy(tmp_path / "source", tmp_path / "target")


def test_other_errors_are_not_said_to_be_of_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="elsewhere"), whole(tmp_path / "digits"):
        raise PermissionError(13, "Permission denied", "elsewhere")
    with pytest.raises(safetensors.SafetensorError, match="header"), whole(tmp_path / "digits"):
        safetensors.torch.load(b"")
