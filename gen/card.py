"""The README.md of a model's folder: a model card that people read, with a header that model hubs read.

The header is the YAML of https://huggingface.co/docs/hub/model-cards.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gen.abilities import Completes, Conditional, Density, Inference, Latent, Samples
from gen.errors import InputError
from gen.families import family_module
from gen.family import Family

README = "README.md"
PICTURE = "grid.png"


def write_card(
    folder: Path,
    family: Family,
    *,
    numbers: str = "",
    measured: Sequence[Mapping[str, Any]] = (),
    limits: Sequence[str] = (),
) -> None:
    """Write the card of the model that was exported to `folder`.

    Args:
        folder: has model.json and, perhaps, grid.png.
        family: the model.
        numbers: what was measured and how, in Markdown; empty: nothing yet.
        measured: the same for hubs, each with `name`, `type` and `value`.
        limits: what else has to be known.

    Raises:
        InputError: it cannot be written.
    """
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    try:
        text = card(described, family, numbers, measured, limits, picture=(folder / PICTURE).exists())
        (folder / README).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder / README}: cannot be written ({error.strerror})") from None


def card(
    described: Mapping[str, Any],
    family: Family,
    numbers: str = "",
    measured: Sequence[Mapping[str, Any]] = (),
    limits: Sequence[str] = (),
    *,
    picture: bool = False,
) -> str:
    """The card of a model that model.json describes so."""
    name = described["family"]
    run, data = str(described.get("run", name)), described.get("dataset") or {}
    paper = str(family_module(name).__doc__).partition("\n")[0].partition(": ")[2]
    channels, height, width = described["image"]
    weights = sum(one.numel() for _, one in family.named_parameters())
    what = "points of the plane" if (height, width) == (1, 1) else f"images of {width}x{height} pixels"
    colours = "" if height == 1 else (" in colour" if channels == 3 else " in grey")
    said = [
        header(run, name, data, measured),
        f"# {run}\n",
        f"A `{name}` ({paper.rstrip('.')}) of {what}{colours}, with {weights:,} weights.\n",
        f"![{'samples' if isinstance(family, Samples) else 'test images'}]({PICTURE})\n" if picture else "",
        "## Data\n",
        f"{data_text(data)}\n",
        "## What it can do\n",
        "\n".join(f"- {one}" for one in abilities(family)) + "\n",
        "## Numbers\n",
        (numbers or "Nothing was measured yet.") + "\n",
        "## Limits\n",
        "\n".join(f"- {one}" for one in [*limits_of(family, described), *limits]) + "\n",
        "## How to load it\n",
        loading(family),
        "## How it was trained\n",
        training(described),
    ]
    return "\n".join(filter(None, said))


def header(run: str, name: str, data: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> str:
    """What hubs read."""
    front: dict[str, Any] = {"library_name": "gen", "tags": ["generative", name]}
    if data.get("name"):
        front["datasets"] = [data["name"]]
    if measured:
        task = {"type": "unconditional-image-generation"}
        about = {"name": data.get("name", ""), "type": data.get("name", "")}
        front["model-index"] = [
            {"name": run, "results": [{"task": task, "dataset": about, "metrics": [dict(one) for one in measured]}]}
        ]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n"


def data_text(data: Mapping[str, Any]) -> str:
    """What it was trained on."""
    if not data.get("name"):
        return "It does not say what it was trained on."
    classes = data.get("classes") or []
    known = f", of {len(classes)} classes: {', '.join(map(str, classes))}" if len(classes) > 1 else ""
    digest = f" (sha256 of its manifest: `{data['digest']}`)" if data.get("digest") else ""
    return f"Trained on the training split of `{data['name']}`{digest}{known}."


def abilities(family: Family) -> list[str]:
    """What the model can do, in words."""
    found = []
    if isinstance(family, Conditional):
        found.append(f"draw samples, given {', '.join(family.conditions_on)}")
    elif isinstance(family, Samples):
        found.append("draw samples")
    if isinstance(family, Latent):
        found.append("decode latent vectors drawn from its prior")
    if isinstance(family, Inference):
        found.append("encode an image as a latent vector, and decode that again")
    if isinstance(family, Completes):
        found.append("draw what is missing of an image")
    if isinstance(family, Density):
        kind = {"exact": "the exact", "bound": "a lower bound of the", "estimate": "an estimate of the"}[family.density]
        found.append(f"say {kind} likelihood of an image")
    return found or ["nothing but what its networks compute"]


def limits_of(family: Family, described: Mapping[str, Any]) -> list[str]:
    """What follows from what the model is."""
    data = (described.get("dataset") or {}).get("name", "its data set")
    found = [
        f"It knows the training split of {data}, with its biases, and nothing else. Whatever samples look like, they "
        "are made up.",
    ]
    if not isinstance(family, Samples | Conditional):
        found.append("It does not sample: it has no prior.")
    if isinstance(family, Samples | Conditional) and not isinstance(family, Density):
        found.append("It has no likelihood: it cannot say that an image is unlikely, and may lack kinds of images.")
    return found


def loading(family: Family) -> str:
    """Code that loads it and does what it can."""
    lines = ["import gen", "", 'model = gen.load("path/to/this/folder")']
    if isinstance(family, Conditional) and tuple(family.conditions_on) == ("labels",):
        lines.append("images = model.sample(64, seed=1, label=0)  # in [-1, 1], of shape (64, channels, height, width)")
    elif isinstance(family, Samples | Conditional):
        lines.append("images = model.sample(64, seed=1)  # in [-1, 1], of shape (64, channels, height, width)")
    if isinstance(family, Inference):
        lines.append(
            "z = model.family.encode(images)" if len(lines) > 3 else "z = model.family.encode(images_of_yours)"
        )
        lines.append("again = model.family.decode(z)")
    code = "\n".join(lines)
    return (
        f"```python\n{code}\n```\n\nNeither the weights (`weights.safetensors`) nor `model.json`, which says how to "
        "build the networks, can hold code. `gen info path/to/this/folder` says which commands show more of it.\n"
    )


def training(described: Mapping[str, Any]) -> str:
    """Its hyperparameters, and for how long."""
    settings = described.get("hyperparameters") or {f"model.{key}": one for key, one in described["model"].items()}
    rows = "\n".join(f"| `{name}` | {value} |" for name, value in settings.items())
    notes = [f"The weights are those after {described['step']:,} steps" if described.get("step") else ""]
    if described.get("averaged"):
        notes.append("a moving average over steps")
    if described.get("seconds"):
        notes.append(f"training took {described['seconds']:,.0f} s")
    said = "; ".join(filter(None, notes))
    return f"{said + '.' if said else ''}\n\n| hyperparameter | value |\n|---|---|\n{rows}\n"
