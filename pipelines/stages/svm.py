"""Stage svm@<run>: how well a linear classifier does on a model's features with few labels, beside the papers' numbers.

Writes evaluations/<group>/svm/<run>: metrics.json, protocol.json, report.md.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gen import export
from gen.abilities import Features
from gen.config.load import load_params
from gen.config.params import Params
from gen.config.protocol import FULL
from gen.data.dataset import Dataset, open_dataset
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.errors import InputError
from gen.evaluation.real_images import images
from gen.evaluation.semi_supervised import Labelled, Rule, hold_out, nearest_neighbours, semi_supervised_svm
from gen.extractors import AT_ONCE
from gen.settings import nearest
from pipelines.reports.model_folder import trained, weights_digest
from pipelines.reports.tables import markdown, published

RULES: Sequence[Rule] = ("class_balanced", "at_random")


def features_of(family: Features, dataset: Dataset, splits: Sequence[str], resolution: int | None) -> Labelled:
    """Features and labels of whole splits, one after the other."""
    found, labels = [], []
    rows = sum(dataset.rows[split] for split in splits)
    with progress(f"features of {' and '.join(splits)}", "images", rows) as move, torch.inference_mode():
        for split in splits:
            for part in images(dataset, split, resolution):
                for some in torch.split(part, AT_ONCE):
                    found.append(family.features(some))
                    move(len(some))
            labels.append(torch.from_numpy(dataset.read(split).labels.copy()))
    return Labelled(torch.cat(found), torch.cat(labels))


def classify(params: Params, name: str, out: Path) -> dict[str, dict[str, float]]:
    """Run the protocol with both rules for drawing labelled images, and write what it found into `out`.

    Raises:
        InputError: the model has no features, its data no labels, or fewer rows than the protocol needs.
    """
    run, protocol = params.run(name), params.svm[name].protocol
    model, described = trained(run.group, name)
    family, dataset = export.load(model), open_dataset(Path("data/prepared") / run.dataset)
    if (seen := described.dataset.digest) != dataset.digest:
        raise InputError(
            f"{name}: trained on other data ({seen[:8]}) than is prepared ({dataset.digest[:8]}); "
            f"run dvc repro svm@{name}"
        )
    if not isinstance(family, Features):
        raise InputError(f"svm.{name}: family {run.family} has no features for a classifier; choose another run")
    if not dataset.classes:
        raise InputError(f"svm.{name}: {run.dataset} has no labels; choose a run on a labelled data set")
    if protocol.name == FULL.name and protocol != FULL:
        raise InputError(f"svm.{name}.protocol.name: full; one of other sizes needs a name of its own")
    for split in ("train", "validation", "test"):
        if not dataset.rows.get(split):
            raise InputError(f"svm.{name}: {run.dataset} has no {split} split; prepare one")
    classes = len(dataset.classes)
    pool, validation = hold_out(features_of(family, dataset, ("train", "validation"), run.resolution), protocol)
    test = features_of(family, dataset, ("test",), run.resolution)
    metrics: dict[str, dict[str, float]] = {}
    results = []
    for rule in RULES:
        print(f"{name}: {protocol.draws} draws of {protocol.labelled} labelled images, {rule}", flush=True)
        result = semi_supervised_svm(pool, validation, test, classes, rule=rule, protocol=protocol)
        baseline = nearest_neighbours(pool, test, classes, rule=rule, protocol=protocol)
        suffix = rule if protocol.name == FULL.name else f"{rule}_{protocol.name}"
        suffix += "_reduced" if result.reduced else ""
        for what, errors in (("svm", result.test_error), ("knn", baseline)):
            metrics[f"{what}_error_percent_{suffix}"] = {"mean": errors.mean_percent, "sd_draws": errors.sd_percent}
        results.append({**dataclasses.asdict(result), "knn_error": baseline._asdict()})
    notes = {"run": name, "step": described.step, "weights_sha256": [weights_digest(model)], "results": results}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (out / "protocol.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(report(name, run.family, run.dataset, results), encoding="utf-8")
    return metrics


def report(name: str, family: str, dataset: str, results: Sequence[dict[str, Any]]) -> str:
    """Our numbers, how they were had, and the papers' beside them; a reduced protocol says so in its first line."""
    first = results[0]
    reduced = f"REDUCED protocol {first['protocol']!r}: no paper's number compares. " if first["reduced"] else ""
    rows = [
        {
            "drawn": result["rule"].replace("_", " "),
            "L2-SVM, test error %": f"{result['test_error'][0]:.2f} ± {result['test_error'][1]:.2f}",
            "KNN, test error %": f"{result['knn_error']['mean_percent']:.2f} ± {result['knn_error']['sd_percent']:.2f}",
            "C": f"{result['cost']:.3g}",
            "validation error %": f"{result['validation_error_percent']:.2f}",
        }
        for result in results
    ]
    if not all(result["resolved"] for result in results):
        reduced += "With so large a C and such features the solver may not have reached the minimum. "
    text = (
        f"# {name}: {family} features of {dataset}\n\n{reduced}{first['dimension']:,} features; {first['labelled']:,} "
        f"labelled images of {first['pool_rows']:,}, {first['test_error'][2]} draws for the "
        f"SVM and {first['knn_error']['draws']} for KNN; C chosen on "
        f"{first['validation_rows']:,} validation images; {first['test_rows']:,} test images. ± is the standard "
        f"deviation over draws.\n\n"
    )
    table = pd.DataFrame(rows, index=[f"{family} + L2-SVM"] * len(rows))
    papers = published()
    papers = papers[papers["metric"].str.startswith("test error")].set_index("method")
    papers = papers[["dataset", "value", "sd"]].rename(columns={"dataset": "data set", "value": "test error %"})
    return (
        f"{text}{markdown(table)}\nPublished, with 1,000 labels (Dumoulin et al. 2016, table 1):\n\n{markdown(papers)}"
    )


def main(name: str, path: Path) -> None:
    """Run the protocol on the model of the run `name` of the params file at `path`, and tell MLflow."""
    params = load_params(path)
    if name not in params.svm:
        raise InputError(f"{path}: svm.{name}: unknown; {nearest(name, params.svm)}")
    torch.set_num_threads(os.cpu_count() or 1)
    group = params.run(name).group
    out = Path("evaluations") / group / "svm" / name
    with lock(out), whole(out) as partial:
        metrics = classify(params, name, partial)
    from pipelines.tracking.added import add_to_run
    from pipelines.tracking.names import of_test

    _, model = trained(group, name)
    numbers = {of_test(metric): one["mean"] for metric, one in metrics.items()}
    numbers |= {of_test(metric, "sd_draws"): one["sd_draws"] for metric, one in metrics.items()}
    add_to_run(group, name, model.attempt, numbers, out)
    print((out / "report.md").read_text(encoding="utf-8"))
