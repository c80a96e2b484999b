"""Stage explore@<run>: the standard pictures of a run's latent space, and numbers beside them.

Writes evaluations/<group>/latent/<run>: pictures, film.mp4, metrics.json, protocol.json.
As a command it is `gen latent`.
"""

import json
from pathlib import Path
from typing import Any

import torch

from gen import export
from gen.abilities import Inference, Latent
from gen.config.load import load_params
from gen.config.params import Params
from gen.data.dataset import open_dataset
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.errors import InputError
from gen.evaluation import exploration
from gen.evaluation.exploration import SEEDS, blur_numbers, blur_vector, measure
from gen.evaluation.reference import open_reference
from gen.evaluation.sampling import Measured, over_seeds
from gen.latent.encoding import AT_ONCE
from gen.latent.projection import STEPS
from gen.settings import nearest
from pipelines.reports.latent_pictures import draw
from pipelines.reports.model_folder import trained, weights_digest
from pipelines.reports.tables import with_spreads
from pipelines.runtime.memory import keep_freed_memory

HOME = Path("evaluations")


def explore(params: Params, name: str, out: Path) -> dict[str, Measured]:
    """Draw and measure the latent space of the run `name` into `out`.

    Raises:
        InputError: the model is missing or of other data, or its data set lacks the attribute.
    """
    run, entry = params.run(name), params.explore[name]
    folder, described = trained(run.group, name)
    family, dataset = export.load(folder), open_dataset(Path("data/prepared") / run.dataset)
    if (seen := described.dataset.digest) != dataset.digest:
        raise InputError(
            f"{name}: trained on other data ({seen[:8]}) than is prepared ({dataset.digest[:8]}); "
            f"run dvc repro explore@{name}"
        )
    assert isinstance(family, Latent)  # as load_params has seen
    extractor = params.reference[run.dataset].extractors[0]
    reference = open_reference(Path("data/reference") / run.dataset / extractor)
    names = tuple(one for one in (entry.attribute, entry.other) if one is not None)
    judges = SEEDS + (not isinstance(family, Inference)) if names else 0
    steps = STEPS * -(-entry.projected // AT_ONCE) + judges * entry.classifier_steps
    with progress(f"{name}: latent space", "steps", steps) as move:
        one = exploration.explore(
            family,
            dataset,
            resolution=run.resolution,
            images=entry.images,
            projected_images=entry.projected,
            names=names,
            steps=entry.classifier_steps,
            move=move,
        )
        found = over_seeds([measure(one, seed) for seed in range(SEEDS)])
    blur = blur_vector(one, entry.blur)
    found |= over_seeds([blur_numbers(one, blur)])
    pictures = out / "pictures"
    pictures.mkdir()
    draw(pictures, one, blur, reference)
    notes: dict[str, Any] = {
        "run": name,
        "step": described.step,
        "weights_sha256": [weights_digest(folder)],
        "attribute": entry.attribute,
        "other": entry.other,
        "training_images": len(one.train.images),
        "test_images": len(one.held),
        "projected": len(one.projections.z),
        "seeds": SEEDS,
    }
    numbers = {metric: {"mean": each.mean, "sd_draws": each.sd} for metric, each in found.items()}
    (out / "metrics.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "protocol.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    return found


def main(name: str, path: Path) -> None:
    """Explore the run `name` of the params file at `path`, and tell MLflow."""
    params = load_params(path)
    if name not in params.explore:
        raise InputError(f"{path}: explore.{name}: no such entry; {nearest(name, params.explore)}")
    keep_freed_memory()
    torch.set_num_threads(1)
    group = params.run(name).group
    out = HOME / group / "latent" / name
    with lock(out), whole(out) as partial:
        found = explore(params, name, partial)
    from pipelines.tracking.added import add_to_run
    from pipelines.tracking.names import of_test

    numbers = {of_test(f"latent_{metric}"): one.mean for metric, one in found.items()}
    add_to_run(group, name, trained(group, name)[1].attempt, numbers, out)
    for metric, one in found.items():
        print(f"{name}: {metric.replace('_', ' ')} {with_spreads(one.mean, one.sd, None)}")
    print(f"The pictures: {out / 'pictures'}")
