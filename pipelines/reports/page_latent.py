"""The latent spaces of a group's runs in the page of a comparison: what the stage explore@ drew and measured."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipelines.reports.model_folder import trainings
from pipelines.reports.page_pictures import figures, whole_picture
from pipelines.reports.results import Number, Protocol, results
from pipelines.reports.tables import with_spreads

EXPLAINED = {
    "interpolations.png": "Paths between draws of the prior: straight above, along the great circle below",
    "film.gif": "Round along great circles through draws of the prior",
    "projections.png": "Test images; decoded encodings, where there is an encoder; decoded vectors that were found by "
    "optimisation",
    "analogy.png": "A : B :: C : D, great circles between: three validation images beside their reconstructions, and "
    "D = C + B - A at the lower right",
    "neighbours.png": "Neighbours of a test image in latent space, laid on a grid (above), and what lies between "
    "them (below)",
    "attribute.png": "Test images along the vector of an attribute, reconstructions in the middle",
    "balanced.png": "The same, balanced across another attribute",
    "decoupled.png": "The attribute to the right, the other one below, each balanced across the other",
    "arithmetic.png": "Three examples and their mean: with the attribute alone, with neither, with the other alone. "
    "The first less the second plus the third has both: in latent space (middle), in pixels (right)",
    "blur.png": "Test images, reconstructions, and these without what a synthetic blur adds",
    "nearest.png": "Samples nearest to a training image beside their nearest ones, in pixels (left) and in features of "
    "the extractor (right): is the model memorising?",
}
SAYS = {
    "length_at_middle_lerp": "length of the middle of a straight path between two draws of the prior, in standard "
    "deviations of the prior's lengths from their mean",
    "length_at_middle_slerp": "the same along the great circle",
    "sharpness_at_middle_lerp": "mean gradient of the image in the middle of a straight path, as a share of that of "
    "samples",
    "sharpness_at_middle_slerp": "the same along the great circle",
    "unexplained_by_encoder": "share of the pixels' variance that reconstructions by the encoder lack; less is better",
    "unexplained_by_projection": "the same of latent vectors found by optimisation: what the decoder could do",
    "encodings_inhomogeneity": "how far encodings of test images are from the prior: 0 if distributed alike, 1 at most",
    "prior_inhomogeneity": "the same of as many draws of the prior: the noise of that number",
    "prior_outside_of_encodings": "share of the prior's draws outside of the manifold of the encodings; 5% if "
    "they were distributed alike",
    "biased_change": "change of the attribute's probability from one end of its vector to the other, as a classifier "
    "of real images sees it",
    "biased_change_of_other": "the same of the other attribute",
    "biased_leak": "that of the other as a share of the attribute's",
    "balanced_change": "change of the attribute's probability along the balanced vector",
    "balanced_change_of_other": "the same of the other attribute",
    "balanced_leak": "that of the other as a share of the attribute's; nearer to 0 is better",
    "sharpness_against_blur": "sharpness of reconstructions less a synthetic blur, as a share of theirs before",
    "brightness_change_against_blur": "by how much that changes their brightness, from -1 to 1",
}
Numbers = Mapping[str, Number]


def latent_spaces(group: str, runs: Sequence[str]) -> list[str]:
    """The parts of the page, in HTML; none where no run's latent space was explored.

    Raises:
        InputError: what was explored is damaged, or of other weights than the run has.
    """
    folders = {run: Path("evaluations") / group / "latent" / run for run in runs}
    folders = {run: folder for run, folder in folders.items() if (folder / "metrics.json").exists()}
    if not folders:
        return []
    numbers = {
        run: results(folder, f"explore@{run}", Protocol, trainings(Path("models") / group / run)[:1])[0]
        for run, folder in folders.items()
    }
    parts = ["<h2>Latent spaces</h2>", f"<div class=scroll>{numbers_table(numbers)}</div>"]
    for name, says in EXPLAINED.items():
        shown = [(run, folder / "pictures" / name) for run, folder in folders.items()]
        if drawn := [(run, path) for run, path in shown if path.exists()]:
            pictures = ((run, run, whole_picture(path, f"explore@{run}")) for run, path in drawn)
            parts.append(f"<h3>{html.escape(says)}</h3>{figures(pictures)}")
    return parts


def numbers_table(numbers: Mapping[str, Numbers]) -> str:
    """A row for each number and what it says, a column for each run, in HTML."""
    names = dict.fromkeys(name for found in numbers.values() for name in found)
    rows = {
        name.replace("_", " "): {
            **{run: cell(found.get(name)) for run, found in numbers.items()},
            "": meaning(name),
        }
        for name in names
    }
    return pd.DataFrame.from_dict(rows, orient="index").to_html(border=0)


def meaning(name: str) -> str:
    """What a number says."""
    if name.startswith("classifier_accuracy_"):
        attribute = name.removeprefix("classifier_accuracy_")
        return f"balanced accuracy on test images of the classifier that measures changes of {attribute}"
    return SAYS[name]


def cell(number: Number | None) -> str:
    """A number with its spread over draws, "" without one."""
    return "" if number is None else with_spreads(number.mean, number.sd_draws, None)
