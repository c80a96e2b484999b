"""The samples of each run as its training went on, in a comparison's page: one slider moves all of them."""

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from gen.errors import InputError
from gen.training.checkpoint import GRIDS
from pipelines.reports.page_template import Part, as_script, marks

MOST = 12
"""Pictures of a training: more would make the page large."""


def grids(models: Mapping[str, Mapping[str, Path]], tried: Mapping[str, Path]) -> Part | None:
    """The pictures and their slider; None when no run has any, as none of an older version has.

    Args:
        models: the folder of each training's model, by run and training, that of the first seed first.
        tried: the folder of each experiment's checkpoints.
    """
    figures, pictures = [], []
    for run, trainings in {**models, **{name: {name: folder} for name, folder in tried.items()}}.items():
        for i, (training, folder) in enumerate(trainings.items()):
            remedy = "delete it" if run in tried else f"run dvc repro -s -f train@{run}"
            for kind, steps in by_kind(folder / GRIDS).items():
                shown = {step: encoded(steps[step], remedy) for step in some(sorted(steps))}
                title = training if kind == "samples" else f"{training}, {kind}"
                figures.append(
                    f'<figure {marks(run, i > 0)}><img alt="" class=grid>'
                    f"<figcaption>{html.escape(title)}, step <span></span></figcaption></figure>"
                )
                pictures.append(shown)
    if not pictures:
        return None
    slider = "<p class=tools><label>Step: <input type=range id=step min=0> <output for=step></output></label></p>"
    body = f"{slider}<div class=row id=grids>{''.join(figures)}</div>"
    return Part(body, f"const grids = {as_script([[*map(list, one.items())] for one in pictures])};\n{SCRIPT}")


def by_kind(folder: Path) -> dict[str, dict[int, Path]]:
    """The pictures of a training by what they show and their step; samples first."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob("*.webp"), reverse=True):
        if named := re.fullmatch(r"(\w+)-(\d+)", path.stem):
            found.setdefault(named[1], {})[int(named[2])] = path
    return found


def some(steps: Sequence[int]) -> list[int]:
    """At most MOST of the steps, evenly spread, with the first and the last."""
    if len(steps) <= MOST:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (MOST - 1))] for i in range(MOST)]


def encoded(path: Path, remedy: str) -> str:
    """The picture as an address that holds it. Raises InputError when it is damaged."""
    content = path.read_bytes()
    try:
        Image.open(io.BytesIO(content)).load()
    except Exception:  # Pillow raises whatever damaged bytes lead it to
        raise InputError(f"{path}: damaged; {remedy}") from None
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


SCRIPT = """
const slider = document.getElementById("step"), drawnAt = [...new Set(grids.flat().map(one => one[0]))];
drawnAt.sort((a, b) => a - b);
slider.max = drawnAt.length - 1;
const move = () => {
  const step = drawnAt[slider.value];
  document.querySelector("output[for=step]").textContent = step.toLocaleString("en");
  document.querySelectorAll("#grids figure").forEach((figure, i) => {
    const [at, picture] = grids[i].filter(one => one[0] <= step).at(-1) ?? grids[i][0];
    figure.querySelector("img").src = picture;
    figure.querySelector("figcaption span").textContent = at.toLocaleString("en");
  });
};
slider.addEventListener("input", move);
slider.value = slider.max;
move();
"""
