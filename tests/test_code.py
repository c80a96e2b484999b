"""Digests of code: what changes them, and that all that runs is in them."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen import code
from gen.code import code_digest, used
from gen.data.dataset import Dataset
from gen.family import ImageShape
from gen.training.identity import weights_code
from gen.training.train import train
from pipelines.stages.code import SCORING, digests, roots
from tests.executed import executed, uncounted
from tests.families.small import forms
from tests.training.tiny import run_of

FAMILIES = {file.stem for file in (Path(__file__).parents[1] / "gen/families").glob("[!_]*.py")}


class Copy:
    """A copy of the source, to be edited."""

    def __init__(self, folder: Path, digests: dict[str, str]) -> None:
        self.folder = folder
        self.digests = digests

    def stale(self) -> set[str]:
        """Whose digests are others than when this was asked last."""
        before, self.digests = self.digests, digests_now()
        return {name for name, digest in self.digests.items() if digest != before.get(name)}

    def add(self, name: str, text: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, name
        (self.folder / name).write_text(text.replace(old, new))


def forget() -> None:
    for cached in (code.code_digest, code.links, code.file_of, code.read):
        cached.cache_clear()


def digests_now() -> dict[str, str]:
    forget()
    return digests()


@pytest.fixture(scope="module")
def unedited() -> dict[str, str]:
    return digests_now()


@pytest.fixture
def copy(tmp_path: Path, unedited: dict[str, str]) -> Iterator[Copy]:
    for package in ("gen", "pipelines"):
        shutil.copytree(code.HOME / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "HOME", tmp_path)
        yield Copy(tmp_path, unedited)
    forget()


def test_a_new_file_changes_nothing(copy: Copy) -> None:
    copy.add("gen/nets/unet.py", "from gen.nets.mlp import Generator\nDEPTH = 3\n")
    assert copy.stale() == set()


def test_a_new_function_changes_nothing_until_it_is_used(copy: Copy) -> None:
    copy.add(
        "gen/losses/adversarial.py",
        "def hinge(real, fake):\n    return (1 - real).relu().mean() + (1 + fake).relu().mean()\n",
    )
    assert copy.stale() == set()
    copy.edit("gen/families/dcgan.py", "discriminator_loss", "hinge")
    assert copy.stale() == {"train/dcgan", "sweep/dcgan"}


def test_networks_with_an_encoder_are_those_of_ali_and_bigan_alone(copy: Copy) -> None:
    copy.edit("gen/nets/inference.py", "SLOPE = 0.01", "SLOPE = 0.02")
    assert copy.stale() == {"train/ali", "train/bigan", "sweep/ali", "sweep/bigan"}


def test_comments_docstrings_and_lines_change_nothing(copy: Copy) -> None:
    for file in copy.folder.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):  # every docstring in other words, also those below a field
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                node.value.value = "Said otherwise,\n    and in two lines.\n"
        file.write_text(f"# A comment.\n{ast.unparse(tree)}\n")
    assert copy.stale() == set()


def test_where_a_definition_stands_changes_nothing(copy: Copy) -> None:
    losses = (copy.folder / "gen/losses/adversarial.py").read_text()
    start, end = losses.index("def least_squares"), losses.index("def probabilities")
    copy.edit("gen/losses/adversarial.py", losses[start:end], "")
    copy.add("gen/distances.py", f"from gen.losses.adversarial import Scalar, Scores\n\n\n{losses[start:end]}")
    for family in ("lsgan", "cycle_gan"):
        old, new = "from gen.losses.adversarial import least_squares", "from gen.distances import least_squares"
        copy.edit(f"gen/families/{family}.py", old, new)
    assert copy.stale() == set()


def test_a_new_import_is_followed_wherever_it_stands(copy: Copy) -> None:
    copy.add("gen/extra.py", "def factor():\n    return 1\n")
    copy.add("gen/families/lsgan.py", "\n\ndef twice():\n    from gen import extra\n\n    return 2 * extra.factor()\n")
    copy.add("gen/families/wgan.py", "\n\nimport gen.extra as more\n\nFACTOR = more.factor()\n")
    families = {"train/lsgan", "sweep/lsgan", "train/wgan", "sweep/wgan"}
    assert copy.stale() == families
    copy.edit("gen/extra.py", "1", "3")
    assert copy.stale() == families


def test_a_default_counts_for_dvc_and_not_for_an_identity_that_has_its_value(copy: Copy) -> None:
    before = code_digest(*weights_code("dcgan"))
    copy.edit("gen/families/dcgan.py", "Field(default=128, ", "Field(default=64, ")
    assert copy.stale() == {"train/dcgan", "sweep/dcgan"}
    copy.edit("gen/families/dcgan.py", "Field(default=64, ", "Field(")
    assert copy.stale() == {"train/dcgan", "sweep/dcgan"}
    assert code_digest(*weights_code("dcgan")) == before
    copy.edit(
        "gen/families/dcgan.py", "beta1: float = Field(default=0.5, ge=0", "beta1: float = Field(default=0.5, ge=1"
    )
    assert copy.stale() == {"train/dcgan", "sweep/dcgan"}
    assert code_digest(*weights_code("dcgan")) != before
    copy.edit("gen/config/params.py", "default=64, gt=0", "default=32, gt=0")
    assert copy.stale() == {name for name in roots() if name.startswith(("train/", "sweep/"))}
    copy.edit("gen/config/params.py", "seeds: int = Field(default=3", "seeds: int = Field(default=4")
    sweeps = {name for name in roots() if name.startswith("sweep/")}
    assert copy.stale() == {"reference", "evaluate"} | sweeps


def test_what_a_name_stands_for_counts_and_what_an_import_does(copy: Copy) -> None:
    swapped = "minimax as non_saturating, non_saturating as minimax"
    copy.edit("gen/families/gan.py", "minimax, non_saturating", swapped)
    assert copy.stale() == {"train/gan", "sweep/gan"}
    copy.add("gen/optimizers.py", "\nfor maker in (adam, rmsprop):\n    maker.__name__ = 'step'\n")
    assert {f"train/{family}" for family in FAMILIES} <= copy.stale()
    copy.edit("gen/nets/precision.py", "import torch", "import numpy as torch")
    assert {f"train/{family}" for family in FAMILIES} <= copy.stale()


@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        ("gen/training/gradients.py", "1e-12", "1e-11", {"train", "sweep"}),
        ("gen/data/order.py", "WINDOW = 16", "WINDOW = 17", {"train", "sweep", "reference", "evaluate"}),
        ("gen/data/shards.py", "ZSTD_LEVEL = -3", "ZSTD_LEVEL = 3", {"prepare"}),
        ("gen/data/sources/svhn.py", "MOST_ROWS = 100_000", "MOST_ROWS = 100_001", {"prepare"}),
        ("gen/training/scores.py", "samples: int = 512", "samples: int = 511", {"train", "sweep"}),
        ("gen/metrics/kernel_distance.py", "SUBSET = 1000", "SUBSET = 999", {"evaluate"}),
        ("gen/metrics/svm.py", "SETTLED = 1e-12", "SETTLED = 1e-11", {"evaluate", "svm"}),
        ("gen/metrics/critic.py", "nn.Linear, ", "", {"critics"}),
        ("pipelines/reports/page.py", "EXPLAINED = {", "EXPLAINED = {'x': 'y', ", {"compare"}),
        ("pipelines/sweeps/figures.py", "DRAWABLE = 1e300", "DRAWABLE = 1e200", {"sweep"}),
    ],
)
def test_each_stage_has_the_code_that_it_uses(file: str, old: str, new: str, stages: set[str], copy: Copy) -> None:
    copy.edit(file, old, new)
    assert {name.partition("/")[0] for name in copy.stale()} == stages


def test_what_refuses_records_and_runs_changes_nothing(copy: Copy) -> None:
    for file in (
        "gen/config/params.py",
        "gen/training/journal.py",
        "gen/training/checkpoint.py",
        "pipelines/tracking/tracker.py",
        "pipelines/runtime/worker.py",
    ):
        copy.edit(file, "self", "this")
    assert copy.stale() == set()


def test_a_file_that_is_no_python_changes_only_what_uses_it(copy: Copy) -> None:
    (copy.folder / "gen/families/wgan.py").write_text("class Model(:\n")
    assert copy.stale() == {"train/wgan", "sweep/wgan"}


def test_a_misspelt_root_is_refused() -> None:
    for name in ("gne.loop", "gen.errors", "torch.nn"):
        with pytest.raises(ValueError, match=f"{name}: not among the code that counts"):
            used(name)


def test_what_decides_nothing_exists() -> None:
    assert all(code.file_of(name) for name in code.DECIDES_NOTHING)


def test_every_family_and_source_has_its_own_digest() -> None:
    assert {name for name in roots() if name.startswith("train/")} == {f"train/{name}" for name in FAMILIES}
    own = [name for name in roots() if "/" in name]
    assert len({code_digest(*roots()[name]) for name in own}) == len(own)


@pytest.mark.parametrize(("family", "image"), forms(), ids=str)
def test_what_a_training_runs_is_counted(family: str, image: ImageShape, datasets: dict[str, Dataset]) -> None:
    run = run_of(family, image, steps=3)
    train(run, datasets[run.dataset])  # all is imported, then
    with executed() as ran:
        train(run, datasets[run.dataset])
    assert len(ran) > 40
    around = {("gen.training.train", "train"), ("gen.training.train", "pick_device")}
    around |= {
        ("gen.figures.grid", "alternating"),
        ("gen.conditions", "shown"),
        ("gen.conditions", "Shown"),
        ("gen.conditions", "by_class"),
        ("gen.conditions", "given"),
    }  # pictures
    assert uncounted(ran, *weights_code(family), SCORING) <= around
