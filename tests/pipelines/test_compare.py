"""The stages compare@ and svm@ for real, on digits and models that nobody has trained."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gen import export
from gen.config.load import load_params
from gen.errors import InputError
from gen.evaluators import number_of, numbers
from pipelines.reports.page import legend
from pipelines.reports.tables import number
from pipelines.stages.code import roots
from pipelines.stages.evaluate import tell_mlflow
from pipelines.tracking.store import connect, experiment_id
from tests.executed import executed, uncounted
from tests.pipelines.conftest import Workplace
from tests.pipelines.evaluating import (
    FEW,
    REFERENCE,
    changed,
    digits_with_models,
    edited,
    evaluated,
    untrained,
    write,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cluster: str, forks: str) -> Workplace:
    return digits_with_models(tmp_path_factory.mktemp("evaluate"), cluster, forks)


@pytest.fixture(scope="module")
def compared(built: Workplace) -> Workplace:
    """Both models evaluated, and compared."""
    write(built, REFERENCE)
    for run in ("ali", "dcgan"):
        (built.folder / "models" / "tiny" / run / "curves").mkdir(exist_ok=True)
        (built.folder / "models" / "tiny" / run / "curves" / "fid_classifier.csv").write_text(
            "step,fid_classifier\n1,9.0\n2,5.0\n"
        )
        assert built.here("evaluate", run).returncode == 0
    done = built.here("compare", "tiny")
    assert done.returncode == 0, done.stderr
    return built


def test_the_comparison_ranks_what_was_evaluated(compared: Workplace) -> None:
    out = compared.folder / "comparisons" / "tiny"
    ranking = (out / "ranking.csv").read_text().split()[1:]
    values = [float(line.split(",")[1]) for line in ranking]
    assert values == sorted(values)
    assert {line.split(",")[0] for line in ranking} == {"ali", "dcgan"}
    means = json.loads((out / "metrics.json").read_text())
    assert means["dcgan"]["fid_classifier"] == evaluated(compared, "dcgan")["fid_classifier"]["mean"]
    assert "reconstruction_error" in means["ali"]
    assert "reconstruction_error" not in means["dcgan"]
    page = (out / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert 'src="http' not in page
    assert "over 2 draws of 300 samples, against the 297 images of the test split. Each run was trained once" in page
    assert "No run is said to lead" in page
    assert "memorisation look at 297 of each, KID at 50 subsets of 297" in page
    assert "look for the nearest of 1,300 training images. The Inception score is the mean of 3 parts" in page
    table = (out / "table.md").read_text().splitlines()
    assert len(table) == 5
    assert "| inception score classifier " in table[0]
    assert table[-1].startswith("| held-out real data | real ")
    real = dict(zip(map(str.strip, table[0].split("|")), map(str.strip, table[-1].split("|")), strict=True))
    assert real["kid classifier"]
    assert real["fid classifier"].endswith(", of 200"), "there are fewer of them than samples"
    assert "those of fewer than the samples say of how many" in page
    assert len({len(line) for line in table}) == 1, "columns are aligned"
    head, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (out / "families.md").read_text().splitlines()
    ]
    about = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert {run: (one["samples"], one["encoder"], one["p(x)"]) for run, one in about.items()} == {
        "ali": ("yes", "yes", "no"),
        "dcgan": ("yes", "no", "no"),
    }
    size = sum(param.numel() for param in export.load(compared.folder / "models" / "tiny" / "ali").parameters())  # type: ignore[attr-defined]
    assert about["ali"]["parameters"] == f"{size:,}"
    assert float(about["ali"]["linear probe"]) == pytest.approx(means["ali"]["linear_probe_accuracy"], abs=1e-3)
    assert float(about["dcgan"]["samples a second"].replace(",", "")) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "of"), [("reference", "digits"), ("evaluate", "ali"), ("svm", "ali"), ("compare", "tiny")]
)
def test_what_a_stage_runs_is_in_its_digest(stage: str, of: str, compared: Workplace) -> None:
    """But a family's own file, for its models say what code they are of, and what checks the params."""
    write(compared, REFERENCE)
    with executed() as checked:
        load_params(compared.folder / "params.yaml")
    with executed() as ran:
        done = compared.here(stage, of)
    assert done.returncode == 0, done.stderr
    assert {name for module, name in ran if module == f"pipelines.stages.{stage}"} > {"main"}
    assert uncounted(ran - checked, *roots()[stage], "gen.families.ali", "gen.families.dcgan") == set()


def test_every_number_is_explained_to_people(compared: Workplace) -> None:
    for run in ("ali", "dcgan"):
        assert [metric for metric in evaluated(compared, run) if number_of(metric) is None] == []
    shown = legend(name for name, one in numbers().items() if one.shown)
    assert shown.count("<li>") == sum(one.shown for one in numbers().values())
    assert all(one.says.endswith(".") for one in numbers().values())


@pytest.mark.slow
def test_trainings_of_a_run_are_one_row_with_both_spreads(compared: Workplace) -> None:
    """Two trainings of each run: the page says who leads, DVC's numbers are the means of the trainings'."""
    home = compared.folder / "evaluations"
    shutil.copytree(home, compared.folder / "before")
    try:
        for run in ("ali", "dcgan"):
            untrained(compared.folder, run, f"{run}/seeds/4", seed=4)
        assert "tiny/ali: has 2 trainings, runs.ali.seeds says 1; run dvc repro" in compared.refused("evaluate", "ali")
        write(compared, REFERENCE, seeds=2)
        for run in ("ali", "dcgan"):
            assert compared.here("evaluate", run).returncode == 0
        done = compared.here("compare", "tiny")
        assert done.returncode == 0, done.stderr
        found, protocol = evaluated(compared, "ali")["fid_classifier"], evaluated(compared, "ali", "protocol.json")
        each = [one["metrics"]["fid_classifier"] for one in protocol["trainings"]]
        assert [one["seed"] for one in protocol["trainings"]] == [3, 4]
        assert found["mean"] == pytest.approx(np.mean(each))
        assert found["sd_trainings"] == pytest.approx(np.std(each, ddof=1))
        page = (compared.folder / "comparisons" / "tiny" / "index.html").read_text()
        ranked = (compared.folder / "comparisons" / "tiny" / "ranking.csv").read_text().split()[1:]
        assert "± is the standard deviation over trainings with different seeds; in brackets" in page
        assert re.search(r"\d ± [\d.]+ \([\d.]+\)", page)
        assert re.findall(r'<tr data-run="(\w+)" data-further class=hidden><th>([\w-]+)<', page) == [
            (run, training) for run in (line.split(",")[0] for line in ranked) for training in (run, f"{run}-seed4")
        ]
        assert f"<td>seed 4</td><td>0</td><td></td><td></td><td>{number(each[1], math.nan)}</td>" in page
        assert "was trained with one seed" not in page
    finally:
        for run in ("ali", "dcgan"):
            shutil.rmtree(compared.folder / "models" / "tiny" / run / "seeds")
        write(compared, REFERENCE)
        shutil.rmtree(home)
        (compared.folder / "before").rename(home)


CLASSIFIER = "extractors/classifier"


@pytest.mark.parametrize(
    ("name", "address", "value", "message"),
    [
        (
            "metrics",
            "fid_classifier",
            3.0,
            ".fid_classifier: expected a section with mean, sd_draws, sd_trainings; got 3.0",
        ),
        ("metrics", "fid_classifier/mean", math.inf, ".fid_classifier.mean: input should be a finite number"),
        ("metrics", "fid_classifier/mean", "3", ".fid_classifier.mean: input should be a valid number"),
        ("metrics", "fid_classifier/mean", ..., ".fid_classifier.mean: missing"),
        ("metrics", "kid_classifier/sd_draws", math.nan, ".kid_classifier.sd_draws: input should be a finite number"),
        (
            "metrics",
            "kid_classifier/sd_draws",
            -1.0,
            ".kid_classifier.sd_draws: input should be greater than or equal to 0",
        ),
        (
            "metrics",
            "kid_classifier/sd_draws",
            True,
            ".kid_classifier.sd_draws: input should be a number, not yes or no",
        ),
        ("metrics", "fid_classifier", ..., ": lacks fid_classifier"),
        ("protocol", "weights_sha256", ..., ".weights_sha256: missing"),
        ("protocol", "samples", "300", ".samples: input should be a valid integer"),
        ("protocol", "averaged_weights", 1, ".averaged_weights: input should be a valid boolean"),
        ("protocol", "extractors", {}, ".extractors: dictionary should have at least 1 item"),
        ("protocol", "extractors", [], ".extractors: input should be a valid dictionary"),
        ("protocol", CLASSIFIER, None, ".extractors.classifier: "),
        ("protocol", f"{CLASSIFIER}/sha256", ..., ".extractors.classifier.sha256: missing"),
        ("protocol", f"{CLASSIFIER}/reference_sha256", ..., ".extractors.classifier.reference_sha256: missing"),
        ("protocol", f"{CLASSIFIER}/singular_covariance", ..., ".extractors.classifier.singular_covariance: missing"),
        ("protocol", f"{CLASSIFIER}/test_accuracy", "high", ".extractors.classifier.test_accuracy: "),
        ("protocol", f"{CLASSIFIER}/counts/kernel_subset", ..., ".extractors.classifier.counts.kernel_subset: missing"),
        ("protocol", f"{CLASSIFIER}/counts/training_images", ..., ".counts.training_images: missing"),
        ("protocol", f"{CLASSIFIER}/counts/inception_score_splits", "10", ".counts.inception_score_splits: input "),
        ("protocol", "floor", [], ".floor: input should be a valid dictionary"),
        ("protocol", "floor/kid_classifier/images", ..., ".floor.kid_classifier.images: missing"),
        ("protocol", "floor/kid_classifier/images", True, ".floor.kid_classifier.images: "),
        ("protocol", "trainings", [], ".trainings: "),
    ],
)
def test_an_edited_evaluation_is_named(compared: Workplace, name: str, address: str, value: Any, message: str) -> None:
    path = compared.folder / "evaluations" / "tiny" / "dcgan" / f"{name}.json"
    with changed(path, edited(path, address, value)):
        line = compared.refused("compare", "tiny")
    assert line.startswith("error: evaluations/tiny/dcgan/")
    assert f"{name}.json" in line
    assert message in line
    assert line.endswith("; run dvc repro -s -f evaluate@dcgan\n")


def test_mlflow_is_told_the_floor_and_nothing_of_an_evaluation_that_is_not_whole(
    compared: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compared.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{compared.folder}/floors.db")
    trained = connect().create_run(experiment_id(connect(), "tiny"), tags={"run": "dcgan", "attempt": "none"}).info
    path, run = Path("evaluations/tiny/dcgan"), load_params(Path("params.yaml")).run("dcgan")
    with changed(path / "protocol.json", "[]"), pytest.raises(InputError, match=r"dcgan/protocol.json: damaged; run"):
        tell_mlflow(run, "dcgan", {}, [], path)
    tell_mlflow(run, "dcgan", {}, [{}], path)
    told, found = connect().get_run(trained.run_id).data.metrics, evaluated(compared, "dcgan", "protocol.json")
    assert told["validation_floor/fid_classifier"] == found["score_floor"]["fid_classifier"]["mean"] > 0
    assert told["test_floor/fid_classifier"] == found["floor"]["fid_classifier"]["mean"]


def test_what_is_not_compared(compared: Workplace) -> None:
    """One run is evaluated otherwise, damaged, or not at all: no comparison, and the old one stays."""
    home, models = compared.folder / "evaluations" / "tiny", compared.folder / "models" / "tiny"
    metrics, protocol = home / "dcgan" / "metrics.json", home / "dcgan" / "protocol.json"
    curve = models / "dcgan" / "curves" / "fid_classifier.csv"
    for path, text, message in (
        (protocol, edited(protocol, "samples", 301), "evaluated otherwise than ali; run dvc repro evaluate@dcgan"),
        (
            protocol,
            edited(protocol, "weights_sha256", [""]),
            "dcgan: of other weights than models/tiny/dcgan has; run ",
        ),
        (protocol, "[]", "protocol.json: damaged; run dvc repro -s -f evaluate@dcgan"),
        (metrics, "{}", "metrics.json: damaged; run dvc repro -s -f evaluate@dcgan"),
        (metrics, metrics.read_text()[:99], "metrics.json: damaged; run dvc repro -s -f evaluate@dcgan"),
        (metrics, None, "metrics.json: missing; run dvc repro evaluate@dcgan"),
        (curve, "", "fid_classifier.csv: damaged; run dvc repro -s -f train@dcgan"),
    ):
        with changed(path, text):
            assert message in compared.refused("compare", "tiny")
    other = home / "ali" / "metrics.json"
    with changed(other, edited(other, "fid_classifier", ...)), changed(metrics, edited(metrics, "fid_classifier", ...)):
        assert "ali/metrics.json: lacks what ranks runs; run dvc repro -s" in compared.refused("compare", "tiny")
    weights, picture = models / "dcgan" / "weights.safetensors", home / "ali" / "pictures" / "reconstructions.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    assert "reconstructions.png: damaged; run dvc repro -s -f evaluate@ali" in compared.refused("compare", "tiny")
    picture.write_bytes(whole)
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + b"?")
    assert "of other weights than models/tiny/dcgan has; run dvc repro evalu" in compared.refused("compare", "tiny")
    weights.write_bytes(sound)
    assert (compared.folder / "comparisons" / "tiny" / "index.html").exists()


def test_few_labels_on_untrained_features(compared: Workplace) -> None:
    built = compared
    write(built, REFERENCE)
    done = built.here("svm", "ali")
    assert done.returncode == 0, done.stderr
    out = built.folder / "evaluations" / "tiny" / "svm" / "ali"
    metrics = json.loads((out / "metrics.json").read_text())
    kinds = [
        f"{what}_error_percent_{rule}_few_reduced"
        for what in ("svm", "knn")
        for rule in ("class_balanced", "at_random")
    ]
    assert sorted(metrics) == sorted(kinds)
    assert all(0 < one["mean"] < 90 for one in metrics.values()), "random features of digits still tell something"
    first = json.loads((out / "protocol.json").read_text())["results"][0]
    assert (first["pool_rows"], first["validation_rows"], first["test_rows"]) == (1300, 200, 297)
    assert first["dimension"] == 4 * 4 * 16 + 32 + 32 + 4  # width 2: the last three hidden layers, and z
    assert "REDUCED protocol 'few'" in (out / "report.md").read_text()
    assert built.here("compare", "tiny").returncode == 0
    assert "svm error percent at random few" in (built.folder / "comparisons" / "tiny" / "table.md").read_text()
    protocol = out / "protocol.json"
    for text, message in (
        (
            edited(protocol, "weights_sha256", ["0" * 64]),
            "svm/ali: of other weights than models/tiny/ali has; run dvc repro",
        ),
        (json.dumps([first]), "svm/ali/protocol.json: damaged; run dvc repro -s -f svm@ali"),
        (None, "svm/ali/protocol.json: missing; run dvc repro svm@ali"),
    ):
        with changed(protocol, text):
            assert message in built.refused("compare", "tiny")
    assert "|ALI+L2-SVM|svhn|19.14|0.50|" in (out / "report.md").read_text().replace(" ", "")
    write(built, REFERENCE, FEW | {"name": "half", "labelled": 1000, "validation": 1000})
    assert "protocol 'half' needs 1000: give more, or give params a protocol of its own" in built.refused("svm", "ali")
    write(built, REFERENCE, FEW | {"name": "full"})
    assert "svm.ali.protocol.name: full; one of other sizes needs a name of its own" in built.refused("svm", "ali")
    assert json.loads((out / "metrics.json").read_text()) == metrics
