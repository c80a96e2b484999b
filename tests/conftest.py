"""What tests of several subjects share."""

import os
import re
from pathlib import Path

import pytest
import torch

from gen.data.dataset import Dataset
from gen.families import family_names
from tests.training.tiny import DATASETS, prepared


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A mirror of real images in their published formats: `<data set>/<file>` and SHA256SUMS."""
    if not (folder := os.environ.get("GEN_TEST_MIRROR")):
        pytest.skip("GEN_TEST_MIRROR names no mirror of the published files")
    return Path(folder)


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Prepared digits, two of their classes as domains, and ring8."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return {name: prepared(folder, name) for name in DATASETS}


def pytest_configure(config: pytest.Config) -> None:
    """Each family's name is a marker: `pytest -m dcgan` selects the tests of DCGAN, where `-k gan` selects of all.

    And one thread a process: two processes whose threads wait for each other are ten times as slow on two cores.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    for name in family_names():
        config.addinivalue_line("markers", f"{name}: tests of this family")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those of a family, by its name in theirs.

    And put the stages' tests first: they take longest, and no worker is to be left alone with them in the end.
    """
    known = "|".join(sorted(family_names(), key=len, reverse=True))  # wgan_gp before wgan
    for item in items:
        for name in re.findall(rf"(?<![a-z0-9])({known})(?![a-z0-9])", item.name):
            item.add_marker(name)
    items.sort(key=lambda item: item.path.parent.name != "pipelines")
