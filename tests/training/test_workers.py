"""Two real processes with gloo equal one on the same global batch."""

import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.multiprocessing
from torch import Tensor

from gen.data.dataset import Dataset, open_dataset
from gen.errors import InputError
from gen.evaluation.reference import open_reference, write_reference
from gen.extractors.classifier import train_classifier
from gen.training.loop import Loop, initial_family
from gen.training.scores import LightFrechet
from gen.training.workers import SINGLE_PROCESS, Workers
from tests.families.small import IMAGES, forms, mixes_samples
from tests.training.tiny import exported, inverting, matching, remembering, run_of

STEPS = 3
SCORED = ("gan", IMAGES)
independent = [(name, image) for name, image in forms() if not mixes_samples(name, image)] + [
    (name, IMAGES) for name in ("remembering", "inverting", "matching")
]
mixing = [(name, image) for name, image in forms() if mixes_samples(name, image)]
Result = dict[str, dict[str, Tensor]]


def all_runs(data: dict[str, Path], workers: Workers) -> Result:
    """The state of every family after a few steps, and what it remembers."""
    results = {}
    runs = [(name, image, run_of(name, image)) for name, image in forms()]
    own = [
        ("remembering", IMAGES, remembering()),
        ("inverting", IMAGES, inverting(data["part"])),
        ("matching", IMAGES, matching()),
    ]
    for name, image, run in [*runs, *own]:
        dataset = open_dataset(data[run.dataset])
        loop = Loop(run, initial_family(run, dataset).to(torch.float64), dataset, workers, torch.float64)
        losses = [loop.step() for _ in range(STEPS)][-1]
        results[f"{name}{image}"] = {**loop.family.state_dict(), **{f"loss/{k}": v for k, v in losses.items()}}
        for number, values in enumerate(loop.state()["memories"]):
            results[f"{name}{image}"][f"memory/{number}"] = values
        if (name, image) == SCORED:
            value = LightFrechet(open_reference(data["reference"]), samples=51)(loop)
            results["score"] = {name: torch.tensor(one, dtype=torch.float64) for name, one in value.items()}
    return results


def work(rank: int, data: dict[str, Path], folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(all_runs(data, Workers(rank, 2)), folder / f"{rank}.pt")
    (folder / f"{rank}.txt").write_text("; ".join(disagreements(data, Workers(rank, 2))))
    torch.distributed.destroy_process_group()


def disagreements(data: dict[str, Path], workers: Workers) -> list[str]:
    """What is said when the second worker is a step, or one bit of a weight, apart."""
    run, dataset = run_of("gan"), open_dataset(data["digits"])
    loop, message = Loop(run, initial_family(run, dataset), dataset, workers), []
    loop.check_agreement()
    for steps, bits in ((1, 0), (0, 1)):
        loop.steps_done = 4 + steps * workers.rank
        with torch.no_grad():
            weight = next(param for _, param in loop.family.named_parameters())
            weight.view(torch.int32)[0, 0] += bits * workers.rank
        try:
            loop.check_agreement()
        except InputError as error:
            message.append(str(error))
    return message


@pytest.fixture(scope="module")
def results(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result, Result]:
    """One worker's, and each of two workers'."""
    folder = tmp_path_factory.mktemp("workers")
    data = {name: dataset.folder for name, dataset in datasets.items()} | {"reference": folder / "classifier"}
    data["reference"].mkdir()
    data["part"] = exported(folder / "dcgan", run_of("dcgan", steps=3), datasets["digits"])
    model = train_classifier(datasets["digits"], None, steps=5)
    safetensors.torch.save_file(model.state_dict(), data["reference"] / "classifier.safetensors")
    write_reference(
        data["reference"],
        extractor="classifier",
        dataset=datasets["digits"],
        resolution=None,
        notes={},
        move=lambda images: None,
    )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    torch.multiprocessing.spawn(work, (data, folder), nprocs=2)
    told = [(folder / f"{rank}.txt").read_text() for rank in range(2)]
    results = all_runs(data, SINGLE_PROCESS), torch.load(folder / "0.pt"), torch.load(folder / "1.pt")
    results[0]["told"] = told  # type: ignore[assignment]
    return results


def test_workers_that_start_from_different_states_are_refused_all_alike(results: tuple[Result, Result, Result]) -> None:
    first, second = results[0]["told"]
    message = "workers do not start from one state (steps {}): every machine has to reach cluster.storage"
    assert first == second == f"{message.format('4, 5')}; {message.format('4, 4')}"


@pytest.mark.parametrize(("name", "image"), independent)
def test_two_workers_equal_one(name: str, image: object, results: tuple[Result, Result, Result]) -> None:
    alone, first, _ = (result[f"{name}{image}"] for result in results)
    for key, value in alone.items():
        torch.testing.assert_close(first[key], value, rtol=1e-9, atol=1e-13, msg=f"{name} {key}")


@pytest.mark.parametrize(("name", "image"), forms())
def test_workers_hold_the_same_family(name: str, image: object, results: tuple[Result, Result, Result]) -> None:
    _, first, second = (result[f"{name}{image}"] for result in results)
    for key, value in first.items():
        assert torch.equal(value, second[key]), f"{name} {key}"


@pytest.mark.parametrize(("name", "image"), mixing)
def test_batch_norm_statistics_are_averaged(name: str, image: object, results: tuple[Result, Result, Result]) -> None:
    alone, first, _ = (result[f"{name}{image}"] for result in results)
    means = [key for key in alone if key.endswith("running_mean")]
    assert means
    for key in means:  # not equal: each worker normalises by its own half of the batch
        torch.testing.assert_close(first[key], alone[key], rtol=0.5, atol=0.05)


def test_workers_share_the_samples_of_a_score(results: tuple[Result, Result, Result]) -> None:
    alone, first, second = (result["score"] for result in results)
    torch.testing.assert_close(
        first["fid_classifier"], alone["fid_classifier"], rtol=1e-6, atol=0.0
    )  # features are float32
    assert second == {}
