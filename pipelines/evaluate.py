"""Stage evaluate@<run>: what a run's exported model is worth, into evaluations/<group>/<run> and its MLflow run."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import gen
from gen import config
from gen.config import Params, Run
from gen.data.dataset import Dataset, open_dataset
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.errors import InputError
from gen.family import Family, Inference
from gen.grid import png
from gen.metrics import evaluation
from gen.metrics.evaluation import SPLIT, Measured
from gen.metrics.extractors import ClassifierExtractor, Extracted
from gen.metrics.modes import coverage
from gen.metrics.neighbours import closest
from gen.metrics.reference import Reference, images, open_reference
from gen.sheets import beside_neighbours, pairs, point_panels
from pipelines import command
from pipelines.extraction import extract
from pipelines.model_folder import Trained, trained, weights_digest

HOME = Path("evaluations")
SHEET = 12
"""Samples that are shown beside their nearest training images, so many of them each:"""
NEIGHBOURS = 5
SEARCHED = 1000
"""Samples among which those nearest to a training image are looked for, to be shown."""
PAIRED = 64
"""Test images shown beside their reconstructions, and over which their error is taken:"""
INFERRED = 1000
ANY_NUMBER = ("kid", "memorised", "confidence", "classes_seen")
"""Metrics that say the same of few images as of many."""


def evaluate(params: Params, name: str, out: Path) -> dict[str, Measured]:
    """Measure the model of the run `name`, and draw what is to be seen of it into `out`.

    Raises:
        InputError: the model or the reference is missing, they are of different data, or a number is not finite.
    """
    run = params.run(name)
    section = params.reference[run.dataset]
    model, described = trained(run.group, name)
    family = gen.load(model)
    pictures = out / "pictures"
    pictures.mkdir()
    dataset = open_dataset(Path("data/prepared") / run.dataset)
    references = [open_reference(Path("data/reference") / run.dataset / one) for one in section.extractors]
    for reference in references:
        check_same_data(name, described, reference, dataset)
    measured, singular = over_seeds(params, run, model, references)
    notes: dict[str, Any] = {
        "run": name,
        "dataset": run.dataset,
        "step": described.step,
        "weights_sha256": weights_digest(model),
        "averaged_weights": described.averaged,
        "split": SPLIT,
        "real_images": dataset.rows.get(SPLIT, 0),
        "samples": section.samples,
        "seeds": section.seeds,
        "extractors": {},
    }
    for reference in references:
        weights = [sha256 for file, sha256 in reference.described["sha256"].items() if file.startswith(("cla", "inc"))]
        about = {key: reference.described[key] for key in ("resizer", "test_accuracy") if key in reference.described}
        notes["extractors"][reference.name] = {
            "sha256": "".join(weights),
            "reference_sha256": reference.digest,
            "singular_covariance": reference.name in singular,
            "counts": evaluation.counts(reference, section.samples),
            "validation_images": held_out(reference, section.samples),
            **about,
        }
    if dataset.shape.height > 1:
        (pictures / "neighbours.png").write_bytes(neighbours(family, run, dataset, references[0], section.samples))
    with concerning(model):
        measured |= particular(family, dataset, section, references, pictures)
    write(out, measured, notes)
    return measured


def held_out(reference: Reference, samples: int) -> dict[str, float]:
    """The numbers of validation images, as if a model had drawn them: what a perfect one would have.

    Where there are fewer than samples, only those that say the same of any number: the Frechet distance of 200 images
    is larger than that of 1,000 as good ones.
    """
    if reference.described["rows"].get("validation", 0) < 4:
        return {}
    real = reference.features("validation")[:samples]
    numbers, _ = evaluation.measure(Extracted(real, evaluation.class_logits(real, reference)), reference, 0)
    if len(real) < samples:
        told = {f"{name}_{reference.name}" for name in ANY_NUMBER}
        numbers = {name: value for name, value in numbers.items() if name in told}
    return {"images": len(real), **numbers}


def over_seeds(
    params: Params, run: Run, model: Path, references: Sequence[Reference]
) -> tuple[dict[str, Measured], set[str]]:
    """Every metric over the seeds, and the extractors that had a singular covariance."""
    section = params.reference[run.dataset]
    found: list[dict[str, float]] = []
    singular: set[str] = set()
    with concerning(model), progress(model.name, "samples", section.samples * section.seeds) as move:
        folders = [reference.folder for reference in references]
        drawn = extract(
            model, folders, section.seeds, section.samples, workers=section.workers, where=params.cluster, move=move
        )
        for seed, said in enumerate(drawn):
            found.append({})
            for one, reference in zip(said, references, strict=True):
                numbers, flagged = evaluation.measure(one, reference, seed)
                found[seed] |= numbers
                if flagged:
                    singular.add(reference.name)
        return evaluation.over_seeds(found), singular


@contextmanager
def concerning(model: Path) -> Iterator[None]:
    """What is wrong inside the block is wrong with this model."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{model}: {error}") from None


def particular(
    family: Family, dataset: Dataset, section: config.Reference, references: Sequence[Reference], pictures: Path
) -> dict[str, Measured]:
    """What only some models have: modes of a mixture, an encoder."""
    measured: dict[str, Measured] = {}
    if (mixture := dataset.mixture) is not None:
        drawn = [
            evaluation.draw(family, seed, slice(0, section.samples), section.samples).flatten(1)
            for seed in range(section.seeds)
        ]
        measured |= evaluation.over_seeds([coverage(points, *mixture) for points in drawn])
    if dataset.shape.height == 1:
        held = torch.cat(list(images(dataset, SPLIT, None)))
        labels = torch.tensor(dataset.read(SPLIT).labels)
        centres = None if mixture is None else mixture.centres
        (pictures / "points.png").write_bytes(point_panels(family, held, labels, centres))
    if isinstance(family, Inference):
        held = torch.cat(list(first_images(dataset, section.size, INFERRED)))
        found = [evaluation.inference_errors(family, held, seed) for seed in range(section.seeds)]
        measured |= evaluation.over_seeds(found)
        for reference in references:
            if isinstance(reference.extract, ClassifierExtractor):
                kept = evaluation.class_kept(family, held, reference.extract)
                measured[f"class_kept_{reference.name}"] = Measured(kept, 0.0)
        if dataset.shape.height > 1:
            with torch.inference_mode():
                made = family.decode(family.encode(held[:PAIRED]))
            (pictures / "reconstructions.png").write_bytes(png(pairs(held[:PAIRED], made)))
    return measured


def first_images(dataset: Dataset, size: int | None, rows: int) -> Iterator[torch.Tensor]:
    """The first rows of the test split."""
    left = rows
    for part in images(dataset, SPLIT, size):
        yield part[:left]
        left -= len(part)
        if left <= 0:
            return


def neighbours(family: Family, run: Run, dataset: Dataset, reference: Reference, samples: int) -> bytes:
    """A sheet of the samples nearest to a training image, beside their nearest ones, as the extractor sees nearness."""
    drawn = [evaluation.draw(family, 0, rows, samples) for rows in evaluation.chunks(min(SEARCHED, samples))]
    features = torch.cat([reference.extract(part).features for part in drawn])
    shown, near = closest(features, reference.features("train"), SHEET, NEIGHBOURS)
    wanted = set(near.flatten().tolist())
    found: dict[int, torch.Tensor] = {}
    start = 0
    for part in images(dataset, "train", run.size):
        found |= {row: part[row - start] for row in wanted if start <= row < start + len(part)}
        start += len(part)
        if len(found) == len(wanted):
            break
    train = torch.stack([torch.stack([found[row] for row in rows]) for rows in near.tolist()])
    return png(beside_neighbours(torch.cat(drawn)[shown], train))


def check_same_data(name: str, described: Trained, reference: Reference, dataset: Dataset) -> None:
    """Model, reference and prepared data are of one data set, and of one size. Raises InputError."""
    digests = {
        "prepared data": dataset.digest,
        "reference": reference.described["data_digest"],
        "model": described.dataset.digest,
    }
    if len(set(digests.values())) > 1:
        said = ", ".join(f"{what} {digest[:8]}" for what, digest in digests.items())
        raise InputError(f"{name}: of different data ({said}); run dvc repro evaluate@{name}")
    made, seen = ("x".join(map(str, image)) for image in (described.image, reference.described["image"]))
    if made != seen:
        raise InputError(f"{name}: makes {made} images, {reference.folder} has {seen}; run dvc repro evaluate@{name}")


def write(out: Path, measured: dict[str, Measured], notes: dict[str, Any]) -> None:
    """metrics.json for programs and `dvc metrics`; protocol.json says how they were measured."""
    numbers = {metric: one._asdict() for metric, one in measured.items()}
    (out / "metrics.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    (out / "protocol.json").write_text(json.dumps(notes, indent=1, allow_nan=False) + "\n")


def main() -> None:
    """Read the arguments and params, evaluate, and tell MLflow."""
    parser = command.stage_parser("evaluate", __doc__ or "", "python -m pipelines.evaluate digits_dcgan")
    parser.add_argument("run", help="a trained run of the params file")
    arguments = parser.parse_args()
    name, params = arguments.run, config.load(arguments.params)
    run = params.run(name)
    out = HOME / run.group / name
    with lock(out), whole(out) as partial:
        measured = evaluate(params, name, partial)
    from pipelines.store import add_to_run

    _, model = trained(run.group, name)
    add_to_run(run.group, name, model.attempt, {metric: one._asdict() for metric, one in measured.items()}, out)
    for metric, one in measured.items():
        print(f"{name}: {metric} {one.mean:.4g}" + (f" ± {one.sd:.2g}" if one.sd else ""))


if __name__ == "__main__":
    sys.exit(command.run(main))
