"""Stage evaluate@<run>: what a run's exported model is worth, into evaluations/<group>/<run> and its MLflow run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gen import evaluators, export
from gen.abilities import Completes, Density, Filters, Inference, Latent, Samples
from gen.conditions import SHOWN
from gen.config.load import load_params
from gen.config.params import Params, Run
from gen.config.params import Reference as ReferenceSettings
from gen.data.dataset import Dataset, open_dataset
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.errors import InputError
from gen.evaluation import sampling as evaluation
from gen.evaluation.real_images import images
from gen.evaluation.reference import Reference, open_reference
from gen.evaluation.sampling import SPLIT, Measured, Sampler, Summary
from gen.evaluation.truncation import trades
from gen.evaluators import Subject
from gen.evaluators.likelihood import of_several_kinds
from gen.families import family_module
from gen.family import Batch, Family
from gen.figures.grid import grid, png
from gen.figures.latent import codes, latent_space
from gen.figures.likelihoods import likelihoods
from gen.figures.panels import beside_neighbours, completions, pairs, point_panels
from gen.figures.truncation import truncation
from gen.metrics.neighbours import closest
from pipelines.reports.floors import metric_floors, score_floors
from pipelines.reports.model_card import evaluated_card
from pipelines.reports.model_folder import Trained, read_model_json, trained, trainings, weights_digest
from pipelines.reports.results import Evaluation, few_images, results
from pipelines.reports.tables import with_spreads
from pipelines.runtime.extraction import extract
from pipelines.runtime.memory import keep_freed_memory

HOME = Path("evaluations")
PANEL = 12
"""Test images that are completed, and samples that are shown beside their nearest training images, so many each:"""
NEIGHBOURS = 5
SEARCHED = 1000
"""Samples among which those nearest to a training image are looked for, to be shown."""
PAIRED = 64
"""Test images shown beside their reconstructions, and the most that numbers of the model itself are taken of:"""
INFERRED = 10_000
LIKELY = 256
"""Test images whose likelihoods are drawn, and as many of other kinds."""


def evaluate(params: Params, name: str, out: Path) -> tuple[dict[str, Summary], list[dict[str, Measured]]]:
    """Measure the models of the run `name`, and draw what is to be seen of the first into `out`.

    Returns:
        The run's numbers, and those of each of its trainings.

    Raises:
        InputError: a model or the reference is missing, they are of different data, or a number is not finite.
    """
    run = params.run(name)
    section = params.reference[run.dataset]
    keep_freed_memory()
    torch.set_num_threads(1)  # several change last bits, and wait for each other beside other stages
    models = trainings(trained(run.group, name)[0])
    if len(models) != run.seeds:
        message = f"has {len(models)} trainings, runs.{name}.seeds says {run.seeds}"
        raise InputError(f"{models[0]}: {message}; run dvc repro train@{name}")
    pictures = out / "pictures"
    pictures.mkdir()
    dataset = open_dataset(Path("data/prepared") / run.dataset)
    references = [open_reference(Path("data/reference") / run.dataset / one) for one in section.extractors]
    described = [read_model_json(model, name) for model in models]
    for reference in references:
        for one in described:
            check_same_data(name, one, reference, dataset)
    found = []
    sampling = issubclass(family_module(described[0].family).Model, Samples)
    with progress(name, "samples", section.samples * section.seeds * len(models) * sampling) as move:
        for model in models:
            with error_context(model):
                numbers = over_draws(params, run, model, references, move) if sampling else {}
                found.append(numbers | of_the_model(export.load(model), run, dataset, section, references))
    family = export.load(models[0])
    with error_context(models[0]):
        draw_pictures(pictures, family, run, dataset=dataset, section=section, reference=references[0])
    measured = evaluation.over_trainings(found)
    notes: dict[str, Any] = {
        "run": name,
        "dataset": run.dataset,
        "trainings": [
            {"seed": run.seed + i, "step": one.step, "metrics": {key: each.mean for key, each in found[i].items()}}
            for i, one in enumerate(described)
        ],
        "weights_sha256": [weights_digest(model) for model in models],
        "averaged_weights": described[0].averaged,
        "split": SPLIT,
        "real_images": dataset.rows.get(SPLIT, 0),
        "samples": section.samples,
        "seeds": section.seeds,
        "extractors": {one.name: how_seen(one, found, section.samples) for one in references},
        "floor": metric_floors(dataset, section, references),
        "score_floor": score_floors(dataset, section, references[0]),
    }
    write(out, measured, notes)
    return measured, found


def how_seen(reference: Reference, found: Sequence[Mapping[str, Measured]], samples: int) -> dict[str, Any]:
    """What has to be known of an extractor beside the numbers of each training that it saw the samples of."""
    weights = [sha256 for file, sha256 in reference.described["sha256"].items() if file.startswith(("cla", "inc"))]
    flag = f"singular_covariance_{reference.name}"
    return {
        "sha256": "".join(weights),
        "reference_sha256": reference.digest,
        "singular_covariance": any(one[flag].mean for one in found if flag in one),
        "counts": evaluation.counts(reference, samples),
        **{key: reference.described[key] for key in ("resizer", "test_accuracy") if key in reference.described},
    }


def over_draws(
    params: Params, run: Run, model: Path, references: Sequence[Reference], move: Callable[[int], None]
) -> dict[str, Measured]:
    """Every number of the samples of one training, over draws."""
    section = params.reference[run.dataset]
    drawn = extract(
        model,
        [reference.folder for reference in references],
        section.seeds,
        section.samples,
        dataset=Path("data/prepared") / run.dataset,
        resolution=run.resolution,
        workers=section.workers,
        where=params.cluster,
        move=move,
    )
    found: list[dict[str, float]] = []
    for seed, message in enumerate(drawn):
        found.append({})
        for one, reference in zip(message, references, strict=True):
            found[seed] |= evaluators.of_samples(one, reference, seed)
    return evaluation.over_seeds(found)


@contextmanager
def error_context(model: Path) -> Iterator[None]:
    """What is wrong inside the block is wrong with this model."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{model}: {error}") from None


def of_the_model(
    family: Family, run: Run, dataset: Dataset, section: ReferenceSettings, references: Sequence[Reference]
) -> dict[str, Measured]:
    """Every number of a model itself: an encoder's, a density's, those of a family that is told something."""
    held_out = torch.cat(list(first_images(dataset, section.resolution, INFERRED)))
    labels = torch.tensor(dataset.read(SPLIT).labels[: len(held_out)])
    subject = Subject(
        family=family,
        sampler=Sampler(family, dataset, run.resolution),
        dataset=dataset,
        references=references,
        held_out=Batch(held_out, labels),
        samples=section.samples,
    )
    drawn = evaluation.over_seeds([evaluators.of_model(subject, seed) for seed in range(section.seeds)])
    return drawn | evaluation.over_seeds([evaluators.of_weights(subject)])


def draw_pictures(
    pictures: Path, family: Family, run: Run, *, dataset: Dataset, section: ReferenceSettings, reference: Reference
) -> None:
    """What is to be seen of a model: points, or samples beside their neighbours; reconstructions, filters."""
    if dataset.shape.height == 1:
        held = torch.cat(list(images(dataset, SPLIT, None)))
        labels = torch.tensor(dataset.read(SPLIT).labels)
        centres = None if dataset.mixture is None else dataset.mixture.centres
        (pictures / "points.png").write_bytes(point_panels(family, held, labels, centres))
        return
    if isinstance(family, Samples):
        (pictures / "neighbours.png").write_bytes(neighbours(family, run, dataset, reference, section.samples))
    if isinstance(family, Inference):
        held = torch.cat(list(first_images(dataset, section.resolution, PAIRED)))
        with torch.inference_mode():
            made = family.decode(family.encode(held))
        (pictures / "reconstructions.png").write_bytes(png(pairs(held, made)))
        if not isinstance(family, Latent):
            (pictures / "codes.png").write_bytes(png(codes(family, held)))
    if isinstance(family, Latent):
        held = torch.cat(list(first_images(dataset, section.resolution, INFERRED)))
        (pictures / "latent_space.png").write_bytes(png(latent_space(family, held)))
    if isinstance(family, Completes):
        held = torch.cat(list(first_images(dataset, section.resolution, PANEL)))
        (pictures / "completions.png").write_bytes(png(completions(family, held)))
    if isinstance(family, Density):
        held = torch.cat(list(first_images(dataset, section.resolution, LIKELY)))
        (pictures / "likelihoods.png").write_bytes(likelihoods(of_several_kinds(family, held), family.density))
    if traded := list(trades(Sampler(family, dataset, run.resolution), reference, section.samples)):
        (pictures / "truncation.png").write_bytes(truncation(traded, reference.name))
    if isinstance(family, Filters):
        (pictures / "filters.png").write_bytes(png(grid(family.filters()[:SHOWN])))


def first_images(dataset: Dataset, resolution: int | None, rows: int) -> Iterator[torch.Tensor]:
    """The first rows of the test split."""
    left = rows
    for part in images(dataset, SPLIT, resolution):
        yield part[:left]
        left -= len(part)
        if left <= 0:
            return


def neighbours(family: Family, run: Run, dataset: Dataset, reference: Reference, samples: int) -> bytes:
    """Panels of the samples nearest to a training image, beside their nearest ones, as the extractor sees nearness."""
    sampler = Sampler(family, dataset, run.resolution)
    drawn = [sampler.draw(0, rows, samples) for rows in evaluation.chunks(min(SEARCHED, samples))]
    features = torch.cat([reference.extract(part).features for part in drawn])
    shown, near = closest(features, reference.features("train"), PANEL, NEIGHBOURS)
    wanted = set(near.flatten().tolist())
    found: dict[int, torch.Tensor] = {}
    start = 0
    for part in images(dataset, "train", run.resolution):
        found |= {row: part[row - start] for row in wanted if start <= row < start + len(part)}
        start += len(part)
        if len(found) == len(wanted):
            break
    train = torch.stack([torch.stack([found[row] for row in rows]) for rows in near.tolist()])
    return png(beside_neighbours(torch.cat(drawn)[shown], train))


def check_same_data(name: str, described: Trained, reference: Reference, dataset: Dataset) -> None:
    """Model, reference and prepared data are of one data set, and of one resolution. Raises InputError."""
    digests = {
        "prepared data": dataset.digest,
        "reference": reference.described["data_digest"],
        "model": described.dataset.digest,
    }
    if len(set(digests.values())) > 1:
        message = ", ".join(f"{what} {digest[:8]}" for what, digest in digests.items())
        raise InputError(f"{name}: of different data ({message}); run dvc repro evaluate@{name}")
    made, seen = ("x".join(map(str, image)) for image in (described.image, reference.described["image"]))
    if made != seen:
        raise InputError(f"{name}: makes {made} images, {reference.folder} has {seen}; run dvc repro evaluate@{name}")


def write(out: Path, measured: dict[str, Summary], notes: dict[str, Any]) -> None:
    """metrics.json for programs and `dvc metrics`; protocol.json says how they were measured."""
    numbers = {metric: one._asdict() for metric, one in measured.items()}
    (out / "metrics.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "protocol.json").write_text(json.dumps(notes, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def main(name: str, path: Path) -> None:
    """Evaluate the run `name` of the params file at `path`, and tell MLflow."""
    params = load_params(path)
    run = params.run(name)
    out = HOME / run.group / name
    with lock(out), whole(out) as partial:
        measured, found = evaluate(params, name, partial)
    protocol = json.loads((out / "protocol.json").read_text(encoding="utf-8"))
    evaluated_card(trained(run.group, name)[0], measured, protocol)
    tell_mlflow(run, name, measured, found, out)
    if few := few_images(open_dataset(Path("data/prepared") / run.dataset).rows.get(SPLIT, 0)):
        print(f"warning: {name}: {few}; raise datasets.{run.dataset}.test, or give more images")
    for metric, one in measured.items():
        real = protocol["floor"].get(metric)
        beside = f", real data {with_spreads(real['mean'], real['sd_draws'], None)}" if real else ""
        print(f"{name}: {metric} {with_spreads(*one)}{beside}")


def tell_mlflow(
    run: Run, name: str, measured: Mapping[str, Summary], found: Sequence[Mapping[str, Measured]], out: Path
) -> None:
    """Each training's numbers and their floor to its own MLflow run; to that of the first the run's spread."""
    from pipelines.tracking.added import add_to_run
    from pipelines.tracking.names import VALIDATION_FLOOR, of_test

    models = trainings(trained(run.group, name)[0])
    _, protocol = results(out, f"evaluate@{name}", Evaluation, models)
    floor = {of_test(metric, "floor"): one.mean for metric, one in protocol.floor.items()}
    floor |= {f"{VALIDATION_FLOOR}{score}": one.mean for score, one in protocol.score_floor.items()}
    for i, (model, training) in enumerate(zip(models, run.trainings(name), strict=True)):
        numbers: dict[str, float] = dict(floor)
        for metric, one in found[i].items():
            numbers |= {of_test(metric): one.mean, of_test(metric, "sd_draws"): one.sd}
            if i == 0 and (spread := measured[metric].sd_trainings) is not None:
                numbers[of_test(metric, "mean_trainings")] = measured[metric].mean
                numbers[of_test(metric, "sd_trainings")] = spread
        add_to_run(run.group, training, read_model_json(model, name).attempt, numbers, out)
