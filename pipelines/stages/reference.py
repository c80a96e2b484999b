"""Stage reference@<dataset>: real images as each extractor sees them, into data/reference/<dataset>."""

import functools
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from gen.config.extractors import scoring_extractor
from gen.config.load import load_params
from gen.config.params import Cluster, Reference
from gen.data.dataset import Dataset, open_dataset
from gen.data.fetch import DOWNLOADS, fetch_file
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.data.source import Published
from gen.errors import InputError
from gen.evaluation.real_images import check_judge
from gen.evaluation.reference import FEATURES, write_reference
from gen.extractors.classifier import accuracy, train_classifier
from gen.extractors.inception import WEIGHTS_SHA256, WEIGHTS_URL, load_inception
from gen.settings import nearest
from gen.training.scores import SPLIT
from pipelines.runtime.extraction import extract_real
from pipelines.runtime.jobs import SCORING
from pipelines.runtime.memory import keep_freed_memory

HOME = Path("data/reference")
INCEPTION = Published(WEIGHTS_URL.rpartition("/")[2], WEIGHTS_URL, f"sha256:{WEIGHTS_SHA256}")


def make_extractor(name: str, section: Reference, dataset: Dataset, folder: Path, mirror: str | None) -> dict[str, Any]:
    """Put the extractor's weights into `folder`; returns what is to be known of it.

    Raises:
        InputError: its weights cannot be had.
    """
    where = f"reference.{dataset.name}"
    if name in ("coordinates", "pixels"):
        return {}
    if name.startswith("inception_"):
        try:
            weights = fetch_file("inception", INCEPTION, folder, mirror=mirror).rename(folder / "inception.pth")
            load_inception(weights)  # a mirror may vouch for another file
        except InputError as error:
            usable = "classifier or pixels" if dataset.classes else "pixels"
            named = f"inception/{INCEPTION.path}"
            remedy = (
                f"place it at {DOWNLOADS / named}, or in the mirror that GEN_MIRROR names as {named}, or use {usable}"
            )
            raise InputError(f"{where}.extractors: {name}: {error}; {remedy}") from None
        return {"resizer": name.removeprefix("inception_")}
    keep_freed_memory()
    torch.set_num_threads(1)  # with another number the weights differ in their last bits
    model = train_classifier(dataset, section.resolution, section.classifier_steps)
    safetensors.torch.save_file(model.state_dict(), folder / "classifier.safetensors")
    return {"test_accuracy": accuracy(model, dataset, section.resolution)}


def look_at(
    dataset: Dataset,
    splits: Collection[str],
    extractor: str,
    folder: Path,
    *,
    notes: dict[str, Any],
    section: Reference,
    where: Cluster,
) -> None:
    """Write to `folder`, which has the extractor's weights, what it sees in the images of splits."""
    images = sum(dataset.rows[split] for split in splits)
    share = functools.partial(
        extract_real,
        dataset=dataset.folder,
        resolution=section.resolution,
        extractor=extractor,
        weights=folder,
        workers=section.workers,
        where=where,
    )
    with progress(f"{dataset.name}: {extractor}", "images", images) as move:
        write_reference(
            folder,
            extractor=extractor,
            dataset=dataset,
            resolution=section.resolution,
            splits=splits,
            notes=notes,
            move=move,
            share=share,
        )
    told = {key: f"{value:.1%}" if isinstance(value, float) else value for key, value in notes.items()}
    message = "".join(f", {key.replace('_', ' ')} {value}" for key, value in told.items())
    print(f"{HOME / dataset.name / extractor}: {images:,} images{message}")


def main(name: str, path: Path) -> None:
    """Make each extractor, and keep what it sees in the real images."""
    params = load_params(path)
    if name not in params.reference:
        raise InputError(f"{path}: reference.{name}: unknown; {nearest(name, params.reference)}")
    section, dataset = params.reference[name], open_dataset(Path("data/prepared") / name)
    mirror = os.environ.get("GEN_MIRROR") or params.data.mirror
    check_judge(dataset, section.extractors)
    with lock(HOME / name), whole(HOME / name) as partial:
        for extractor in section.extractors:
            folder = partial / extractor
            folder.mkdir()
            notes = make_extractor(extractor, section, dataset, folder, mirror)
            look = functools.partial(look_at, dataset, notes=notes, section=section, where=params.cluster)
            look(dataset.rows, extractor, folder)
            if (rounded := scoring_extractor(extractor)) != extractor:
                (partial / rounded).mkdir()
                shutil.copy(folder / "inception.pth", partial / rounded)
                look([SPLIT], rounded, partial / rounded)
        scoring = partial / scoring_extractor(section.extractors[0])
        shutil.copytree(scoring, partial / SCORING, ignore=shutil.ignore_patterns(FEATURES))
