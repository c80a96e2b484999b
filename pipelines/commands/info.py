"""What a model is, what it can do, and which commands show it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gen.abilities import Conditional, Cyclic, Inference, Latent, Samples
from gen.config.params import flat
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.families import family_module
from gen.family import Noise
from gen.latent.deviation import LEVEL, deviation
from gen.latent.encoding import encoded
from gen.model import Model
from pipelines.commands.models import data_of, latent_dim, model_at, rows_of
from pipelines.reports.family_table import ABILITIES

ENCODED = 500
"""Test images whose encodings are held against the prior, at most."""


def info(where: str, data: Path | None) -> str:
    """A few lines about a model: its family, its data, its settings, its latent space, and what it can do.

    Raises:
        InputError: there is no such model, or `data` is not what it was trained on.
    """
    model = model_at(where)
    paper = str(family_module(model.name).__doc__).partition("\n")[0].partition(": ")[2].rstrip(".")
    kinds: Mapping[str, Any] = ABILITIES
    able = [name for name, protocol in kinds.items() if isinstance(model.family, protocol)]
    density = getattr(model.family, "density", None)
    lines = {
        "model": str(model),
        "family": f"{model.name}: {paper}",
        "can": ", ".join([*able, *([f"log p(x), {density}"] if density else [])]),
        "settings": ", ".join(f"{name} {value}" for name, value in flat(dict(model.settings)).items()),
        **{name: str(model.notes[name]) for name in ("run", "step", "averaged") if name in model.notes},
    }
    notes = model.notes.get("dataset")
    if isinstance(notes, dict):
        lines["data set"] = str(notes.get("name"))
    if model.classes:
        lines["classes"] = ", ".join(model.classes)
    if length := latent_dim(model):
        lines["latent vector"] = f"{length} numbers"
    try:
        dataset = data_of(where, model, data)
    except InputError:
        if data is not None:
            raise
        dataset = None
    if dataset is not None and length and isinstance(model.family, Inference) and isinstance(model.family, Latent):
        lines["encodings"] = encodings(model, dataset)
    lines["try"] = "; ".join(commands(where, model))
    return "\n".join(f"{name:>13}  {text}" for name, text in lines.items())


def encodings(model: Model, dataset: Dataset) -> str:
    """How far encodings of test images deviate from the prior."""
    family = model.family
    assert isinstance(family, Latent)
    z = encoded(family, rows_of(dataset, "test", ENCODED, model).images).z
    found = deviation(z, family.prior(Noise("deviation", rows=2 * len(z))))
    return (
        f"of {len(z)} test images deviate from the prior by {found.inhomogeneity:.3f} of 1 (draws of the prior: "
        f"{found.floor:.3f}); {found.outside:.0%} of the prior's draws lie outside of their manifold ({LEVEL:.0%} if "
        "distributed alike)"
    )


def commands(where: str, model: Model) -> Iterator[str]:
    """The commands that show something of the model."""
    if isinstance(model.family, Samples | Conditional):
        yield f"gen sample {where}"
    if model.translates:
        yield f"gen translate {where} PICTURE..."
    if isinstance(model.family, Cyclic):
        yield f"gen translate {where} --back PICTURE..."
    if model.data.image.height == 1:
        return
    if isinstance(model.family, Latent):
        yield f"gen interpolate {where}"
        yield f"gen project {where}"
    if isinstance(model.family, Latent | Inference):
        yield f"gen analogy {where}"
        by = "" if isinstance(model.family, Inference) else " --project"
        yield f"gen attributes {where}{by}"
        yield f"gen mine {where}{by}"
