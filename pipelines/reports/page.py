"""The page of a comparison: one HTML file with its pictures, its chart and its scripts inside."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gen.evaluators import number_of, numbers
from pipelines.reports.curves import Curves
from pipelines.reports.lead import Verdict
from pipelines.reports.page_curves import chart
from pipelines.reports.page_experiments import Experiment, among, experiments
from pipelines.reports.page_grids import grids
from pipelines.reports.page_latent import latent_spaces
from pipelines.reports.page_pictures import figures, image, whole_picture
from pipelines.reports.page_table import TrainingRow, html_table
from pipelines.reports.page_template import PAGE, as_script
from pipelines.reports.results import Evaluation, few_images
from pipelines.reports.tables import published

OPENED = (
    "&#9656; opens the trainings of a run with several seeds: their rows, curves and samples. The links to MLflow work "
    "while <code>make ui</code> serves it (on its usual port)."
)
PANELS = (
    "points.png", "reconstructions.png", "latent_space.png", "codes.png", "completions.png", "likelihoods.png",
    "filters.png", "neighbours.png",
)  # fmt: skip
EXPLAINED = {
    "points.png": "Points; of a mixture, coloured by mode",
    "reconstructions.png": "Test images, each with its reconstruction to the right of it",
    "latent_space.png": "A dimension of z in each row, from its 2nd to its 98th percentile, the others kept; of two "
    "dimensions, the plane",
    "codes.png": "Reconstructions of test images (left), and what is decoded from random codes of the same means and "
    "deviations: why an autoencoder does not sample",
    "completions.png": "Test images (left), their upper half, and what is drawn below it",
    "likelihoods.png": "How likely test images are to the model, and images that it was not trained with",
    "filters.png": "Weights of hidden units, the largest first; grey is 0",
    "neighbours.png": "Samples nearest to a training image (left), beside their nearest: is the model memorising?",
}


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """What the page shows of a run's trainings, that of the first seed first."""

    rows: Sequence[TrainingRow]
    """Of the table."""
    folders: Mapping[str, Path]
    """Of their models, by the trainings' names."""
    curves: Mapping[str, Curves]
    """By the trainings' names."""


def page(
    group: str,
    rank: str,
    table: pd.DataFrame,
    *,
    leading: Verdict,
    protocols: Mapping[str, Evaluation],
    trainings: Mapping[str, Trainings],
    tried: Sequence[Experiment],
    samples: bytes,
    families: pd.DataFrame,
) -> str:
    """One self-contained HTML page.

    Args:
        group: of runs.
        rank: the metric that orders them.
        table: a row for each run, the smallest `rank` first, as people read it; perhaps one more, of real images.
        leading: who leads, if anybody.
        protocols: how each run was evaluated.
        trainings: of each run.
        tried: what else was tried with them.
        samples: the picture of samples from the same noise.
        families: what each can do, a row for each run.
    """
    runs = [run for run in table.index if run in protocols]
    protocol = protocols[runs[0]]
    folders = {run: trainings[run].folders for run in runs}
    rows = {run: trainings[run].rows for run in runs} | {one.name: [one.row] for one in tried}
    drawn = {run: trainings[run].curves for run in runs} | {one.name: {one.name: one.curves} for one in tried}
    kept = {one.name: path for one in tried if (path := one.tracked.checkpoints)}
    few = few_images(protocol.real_images)
    parts = [
        f"<h1>{html.escape(group)}</h1>",
        f"<p>{len(runs)} run{'s' * (len(runs) > 1)}, ordered by {rank.replace('_', ' ')} (smaller is better). "
        f"<b>{with_code(leading.message)}</b> {html.escape(how(protocols))}</p>",
        f"<p class=warning><b>Warning</b>: {html.escape(few)}.</p>" if few else "",
        f"<div class=scroll>{html_table(among(table, tried), rows, leading.leader)}</div>",
        "<details><summary>Columns, hyperparameters and runs</summary><p class=tools id=columns></p>"
        "<p class=tools id=settings></p><p class=tools id=which></p></details>",
        f"<p class=tools><span>{OPENED}</span></p>",
        f"<details><summary>What the numbers say</summary>{legend(table.columns)}</details>",
        "<details><summary>What each family can do, and what it costs</summary>"
        f"<div class=scroll>{families.to_html(border=0)}</div></details>",
        "<h2>Samples from the same noise</h2>",
        f'<div class="scroll wide">{image(samples)}</div>',
        "<h2>More of each run</h2>",
        figures(
            (run, training, whole_picture(folder / "grid.png", f"train@{run}"))
            for run in runs
            for training, folder in folders[run].items()
        ),
    ]
    curves = chart(drawn, protocol.score_floor)
    parts += ["<h2>Scores and losses while training</h2>", curves.body]
    scripts = [curves.script]
    if moving := grids(folders, kept):
        parts += ["<h2>Samples while training</h2>", moving.body]
        scripts.append(moving.script)
    parts.append(experiments(rank, tried))
    for panel in PANELS:
        found = [(run, Path("evaluations") / group / run / "pictures" / panel) for run in runs]
        if shown := [(run, path) for run, path in found if path.exists()]:
            pictures = ((run, run, whole_picture(path, f"evaluate@{run}")) for run, path in shown)
            parts.append(f"<h2>{EXPLAINED[panel]}</h2>{figures(pictures)}")
    parts += latent_spaces(group, runs)
    parts += published_numbers(protocol.dataset)
    says = {column: meaning(column.replace(" ", "_")) for column in table.columns}
    return PAGE.substitute(
        title=html.escape(group), body="\n".join(parts), says=as_script(says), scripts="\n".join(scripts)
    )


def published_numbers(dataset: str) -> list[str]:
    """What papers report of a data set, in HTML; nothing where they do not."""
    papers = published()
    papers = papers[papers["dataset"] == dataset]
    parts = ["<h2>Published numbers</h2><p>Each by its own protocol, none of them ours.</p>"] if len(papers) else []
    for (metric, protocol), rows in papers.groupby(["metric", "protocol"], sort=False):
        parts.append(f"<h3>{html.escape(f'{metric}: {protocol}')}</h3>")
        parts.append(rows[["method", "value", "sd", "source"]].to_html(index=False, border=0))
    return parts


def with_code(message: str) -> str:
    """A message in HTML, in which what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(message))


def how(protocols: Mapping[str, Evaluation]) -> str:
    """The protocol that all runs share, in a few sentences, and what has to be known of some."""
    protocol = next(iter(protocols.values()))
    extractors = []
    for name, about in protocol.extractors.items():
        accuracy = "" if about.test_accuracy is None else f" (test accuracy {about.test_accuracy:.1%})"
        extractors.append(f"{name}{accuracy}" + (f", sha256 {about.sha256[:12]}" if about.sha256 else ""))
    singular = [run for run, one in protocols.items() if any(e.singular_covariance for e in one.extractors.values())]
    flag = f" Singular covariances, whose distance says less: {', '.join(singular)}." if singular else ""
    averaged = [run for run, one in protocols.items() if one.averaged_weights]
    flag += f" With averaged weights: {'all' if len(averaged) == len(protocols) else ', '.join(averaged) or 'none'}."
    counts = next(iter(protocol.extractors.values())).counts
    parts = counts.inception_score_splits
    score = f" The Inception score is the mean of {parts} parts of the samples." if parts else ""
    trainings = {len(one.trainings) for one in protocols.values()}
    spread = "± is the standard deviation over trainings with different seeds" + (
        ", of the runs that have several" if 1 in trainings else ""
    )
    if trainings == {1}:
        spread = "Each run was trained once: what another training would give is not known"
    return (
        f"Numbers are means of the best checkpoint over {protocol.seeds} draws of {protocol.samples:,} samples, "
        f"against the {protocol.real_images:,} images of the {protocol.split} split. {spread}; in brackets is "
        f"the standard deviation over draws from the same weights, which is smaller. {floor(protocol)}Precision, "
        f"recall (k = 3) and memorisation look at {counts.precision_recall_memorisation:,} of each, KID at "
        f"{counts.kernel_subsets} subsets of {counts.kernel_subset:,}. Memorisation, and the pictures for it, look for "
        f"the nearest of {counts.training_images:,} training images.{score} Extractors: {'; '.join(extractors)}.{flag}"
    )


def floor(protocol: Evaluation) -> str:
    """What the row of real data says, if there is one."""
    if not protocol.floor:
        return ""
    fewer = any(one.images != protocol.samples for one in protocol.floor.values())
    return (
        "The last row has the numbers of held-out real data in place of samples, which a perfect model would have"
        + ("; those of fewer than the samples say of how many, and compare less. " if fewer else ". ")
    )


def meaning(metric: str) -> str:
    """What a column says, and which way is better; nothing of one that is no metric."""
    name = number_of(metric)
    if name is None:
        return ""
    one = numbers()[name]
    return f"{one.says}{f' {one.better.capitalize()} is better.' if one.better else ''}"


def legend(metrics: Iterable[str]) -> str:
    """What the numbers that are shown say, and which way is good: a list in HTML."""
    names = dict.fromkeys(name for metric in metrics if (name := number_of(metric.replace(" ", "_"))))
    message = [f"<li><b>{name.replace('_', ' ')}</b>: {html.escape(meaning(name))}</li>" for name in names]
    return f"<ul>{''.join(message)}</ul>"
