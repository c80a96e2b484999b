"""Digits with their reference, and models of them that nobody has trained."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gen import export
from gen.config.params import Run
from gen.data.dataset import open_dataset
from gen.figures.grid import grid, png
from gen.training.loop import data_spec, initial_family
from tests.families.small import IMAGES
from tests.pipelines.conftest import PARAMS, Workplace
from tests.training.tiny import DIGITS, prepared, run_of

REFERENCE = {
    "extractors": ["classifier"],
    "resolution": 16,
    "classifier_steps": 60,
    "samples": 300,
    "seeds": 2,
    "score_samples": 100,
    "score_every": 200,
    "workers": 1,
}


FEW = {
    "name": "few",
    "labelled": 50,
    "draws": 3,
    "validation": 200,
    "costs": 5,
    "neighbours": 1,
    "neighbour_draws": 2,
}


def digits_run(family: str) -> dict[str, Any]:
    return run_of(family, IMAGES, resolution=16, group="tiny", steps=40).model_dump()


def write(place: Workplace, reference: dict[str, Any], protocol: dict[str, Any] = FEW, seeds: int = 1) -> None:
    params = PARAMS | {"datasets": {"digits": DIGITS}, "reference": {"digits": reference}, "compare": ["tiny"]}
    params["svm"] = {"ali": {"dataset": "digits", "group": "tiny", "protocol": protocol}}
    runs = {family: digits_run(family) | {"seeds": seeds} for family in ("ali", "dcgan")}
    (place.folder / "params.yaml").write_text(yaml.safe_dump(params | {"runs": runs}))


def untrained(folder: Path, family: str, place: str | None = None, **changes: Any) -> None:
    run = Run(**digits_run(family) | changes)
    dataset = open_dataset(folder / "data" / "prepared" / "digits")
    export.save(
        folder / "models" / "tiny" / (place or family),
        initial_family(run, dataset).train(False),
        family,
        run.model,
        data_spec(run, dataset),
        dataset={"name": "digits", "digest": dataset.digest, "classes": list(dataset.classes)},
        step=0,
        averaged=False,
        run=family,
        attempt="none",
    )
    (folder / "models" / "tiny" / (place or family) / "grid.png").write_bytes(png(grid(torch.zeros(4, *IMAGES))))


def evaluated(place: Workplace, run: str, name: str = "metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.folder / "evaluations" / "tiny" / run / name).read_text())
    return found


@contextmanager
def changed(path: Path, text: str | None) -> Iterator[None]:
    """The file says something else meanwhile; None: it is gone."""
    sound = path.read_bytes()
    path.unlink() if text is None else path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(sound)


def edited(path: Path, address: str, value: Any) -> str:
    """JSON with another value at a place; ...: with none."""
    found = json.loads(path.read_text())
    *sections, last = address.split("/")
    place = found
    for section in sections:
        place = place[section]
    place[last] = value
    if value is ...:
        del place[last]
    return json.dumps(found)


def digits_with_models(folder: Path, cluster: str, forks: str) -> Workplace:
    """Digits with their reference, and two models nobody has trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = prepared(folder, "digits")
        (folder / "data").mkdir()
        made.folder.parent.rename(folder / "data" / "prepared")
    place = Workplace(folder, cluster, forks)
    write(place, REFERENCE)
    done = place.here("reference", "digits")
    assert done.returncode == 0, done.stderr
    for family in ("ali", "dcgan"):
        untrained(folder, family)
    return place
