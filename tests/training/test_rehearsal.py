"""What a family is told of its data, and what is found before a run starts."""

import sys
from pathlib import Path

import pytest
import torch

import gen
import gen.families
from gen import export
from gen.conditions import draw
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.families import check_family
from gen.family import Column, Condition, DataSpec, ImageShape, Noise
from gen.training.loop import data_spec
from gen.training.rehearsal import rehearse
from gen.training.train import train
from tests.families.small import IMAGES, forms
from tests.training.tiny import run_of

BROKEN = (Path(__file__).parents[2] / "gen/families/dcgan.py").read_text()
Datasets = dict[str, Dataset]


@pytest.fixture
def families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are families too."""
    folder = tmp_path / "families"
    folder.mkdir()
    monkeypatch.setattr(gen.families, "__path__", [*gen.families.__path__, str(folder)])
    monkeypatch.setitem(sys.modules, "gen.families.mine", None)  # put back in the end, as if it had never been there
    del sys.modules["gen.families.mine"]
    return folder


def test_a_family_is_told_how_many_classes_there_are(datasets: Datasets, tmp_path: Path) -> None:
    run, digits = run_of("cgan"), datasets["digits"]
    assert data_spec(run, digits)._replace(extras={}) == DataSpec(IMAGES, classes=10)
    rehearse(run, digits, "runs.mine")
    family = train(run, digits)
    condition = Condition(torch.tensor([9, 9, 0]))
    export.save(tmp_path / "model", family, "cgan", run.model, data_spec(run, digits), condition=condition)
    again, examples = export.load(tmp_path / "model"), export.conditions(tmp_path / "model")
    assert examples is not None
    assert torch.equal(examples.labels, condition.labels)
    nine = draw(again, Noise("z", rows=3), examples)
    assert torch.equal(nine, draw(family, Noise("z", rows=3), condition))
    zero = draw(again, Noise("z", rows=3), Condition(torch.tensor([0, 9, 0])))
    assert [torch.equal(a, b) for a, b in zip(nine, zero, strict=True)] == [False, True, True]
    with pytest.raises(InputError, match=r"^model\.classes: unknown; known: "):
        check_family("cgan", run.model | {"classes": 5}, "model")


def test_data_without_what_a_family_needs_are_refused_before_anything_starts(
    datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "classes", ())
    with pytest.raises(
        InputError, match=r"^runs\.mine: cgan conditions on the class, and the data set has none; use gan$"
    ):
        rehearse(run_of("cgan"), datasets["digits"], "runs.mine")


@pytest.mark.parametrize(("name", "image"), forms())
def test_what_can_be_trained_is_let_through_and_moves_no_generator(
    name: str, image: ImageShape, datasets: Datasets
) -> None:
    run = run_of(name, image)
    before = torch.random.get_rng_state()
    rehearse(run, datasets[run.dataset], "runs.mine")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 1},
        {"batch_size": 2, "grad_accum_steps": 2},
        {"batch_size": 4, "workers": 2, "grad_accum_steps": 2},
    ],
)
def test_one_row_with_batch_norm_is_refused(changes: dict[str, int], datasets: Datasets) -> None:
    message = (
        r"^runs\.mine: cannot be trained with 1 rows at a time .*: ValueError: Expected more than 1 value per channel"
        r".*; gen/families/ali\.py:\d+ in \w+: `"
    )
    with pytest.raises(InputError, match=message) as refused:
        rehearse(run_of("ali", IMAGES, **changes), datasets["digits"], "runs.mine")
    assert "\n" not in str(refused.value)
    rehearse(run_of("gan", IMAGES, **changes), datasets["digits"], "runs.mine")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "torch.no_grad():\n            generated = self.decode(self.prior(noise))",
            "torch.no_grad():\n            generated = self.decode(self.prior(noise) @ batch.images)",
            r"RuntimeError: .*; .*mine\.py:\d+ in discriminator_loss: `generated = self.decode\(self.prior\(noise\) @",
        ),
        (
            'return {"generator": non',
            'return {"generators": non',
            r"update 'generator' has optimizer_steps generator, its loss has generators; name them alike",
        ),
        (
            "return self.decode(self.prior(noise))\n",
            "return self.decode(self.prior(noise))[:, :, 1:]\n",
            r"samples of shape \(8, 1, 15, 16\); the data ask for \(8, 1, 16, 16\)",
        ),
        (
            "class Model",
            "import nowhere_at_all\n\n\nclass Model",
            r"mine cannot be imported: ModuleNotFoundError: .*; .*mine\.py:\d+ in <module>: `import nowhere_at_all`",
        ),
        (
            "class Model(nn.Module)",
            "class Model(nn.Module",
            r"mine cannot be imported: SyntaxError: .*; .*mine\.py:\d+",
        ),
    ],
)
def test_a_mistake_in_ones_own_family_is_named_with_its_line(
    right: str, wrong: str, message: str, families: Path, datasets: Datasets
) -> None:
    assert right in BROKEN
    (families / "mine.py").write_text(BROKEN.replace(right, wrong))
    run = run_of("dcgan", IMAGES).model_copy(update={"family": "mine"})
    with pytest.raises(
        InputError, match=rf"^(runs\.mine: (cannot be trained with 8 rows .*: |mine: |model: )?){message}"
    ):
        rehearse(run, datasets["digits"], "runs.mine")


def test_a_statistic_of_four_rows_and_extras_of_any_type_are_let_through(
    families: Path, datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "columns", {"smiling": Column(dtype="bool")})
    right = "        return {\n"
    assert right in BROKEN
    asks = "        assert (~batch.extras['smiling']).all().item()\n        batch.images.view(4, -1).std(0)\n"
    (families / "mine.py").write_text(BROKEN.replace(right, asks + right))
    rehearse(run_of("dcgan", IMAGES).model_copy(update={"family": "mine"}), datasets["digits"], "runs.mine")


def test_a_loss_that_wants_numbers_is_let_through(families: Path, datasets: Datasets) -> None:
    right = '        return {"generator": non'
    asks = "        if float(self.prior(noise).sum()) == 0.5:\n            raise ValueError\n"
    (families / "mine.py").write_text(BROKEN.replace(right, asks + right))
    rehearse(run_of("dcgan", IMAGES).model_copy(update={"family": "mine"}), datasets["digits"], "runs.mine")


def test_networks_that_fill_no_memory_are_rehearsed(datasets: Datasets) -> None:
    """A generator of ten thousand million weights, of which none is drawn."""
    run = run_of("gan", IMAGES, width=100_000, latent_dim=8)
    rehearse(run, datasets["digits"], "runs.mine")
