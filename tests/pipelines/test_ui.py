"""The pages of MLflow, served for real."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from pipelines.commands import ui
from pipelines.commands.ui import MOST_COMPARED, pages
from pipelines.reports.colours import palette
from pipelines.tracking.store import connect, experiment_id
from pipelines.tracking.stored import COLOUR
from tests.browser import shown

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
ENVIRONMENT["PYTHONPATH"] = str(CHECKOUT)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert pages() == {}
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def experiment(store: MlflowClient, name: str, tmp_path: Path) -> str:
    return str(store.create_experiment(name, tmp_path.as_uri()))


def measured_run(store: MlflowClient, experiment: str, name: str, start: int, *metrics: str) -> str:
    run = store.create_run(experiment, start, run_name=name).info.run_id
    store.log_batch(run, [Metric(metric, 1.0, 0, 0) for metric in metrics])
    return str(run)


def view(store: MlflowClient, experiment: str, address: str) -> dict[str, Any]:
    """What MLflow's runs page makes of an address: it reads the tag of its key, if nothing in the address orders."""
    (key,) = parse_qs(urlsplit(address).query)["viewStateShareKey"]
    assert "orderByKey" not in address
    return dict(json.loads(store.get_experiment(experiment).tags[f"mlflow.sharedViewState.{key}"]))


def test_the_printed_address_of_a_server_has_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:9")
    monkeypatch.setattr(ui, "pages", lambda: {"digits": "experiments/1"})  # nobody answers at this address
    ui.main(5000)
    assert capsys.readouterr().out == "digits: http://***@127.0.0.1:9/#/experiments/1\n"


def test_a_sweep_has_its_newest_trials_and_a_group_that_is_not_measured_its_charts(
    store: MlflowClient, tmp_path: Path
) -> None:
    digits, sweep = (experiment(store, name, tmp_path) for name in ("digits", "sweep-clip"))
    store.create_run(digits, run_name="gan")
    trials = []
    for start in (1000, 2000):  # of the earlier sweep nothing is shown
        parent = store.create_run(sweep, start, run_name="clip").info.run_id
        tags = {"mlflow.parentRunId": parent}
        trials = [store.create_run(sweep, start + more, tags).info.run_id for more in (1, 2)]
    store.log_metric(trials[0], "validation/fid_classifier", 3.0)
    found = pages()
    assert found.keys() == {"digits", "sweep-clip", "sweep-clip, compared"}
    assert found["digits"] == f"experiments/{digits}/runs?workflowType=machine_learning&compareRunsMode=CHART"
    address = urlsplit(found["sweep-clip, compared"])
    asked = {key: json.loads(value) for key, (value,) in parse_qs(address.query).items()}
    assert address.path == "compare-runs"
    assert (sorted(asked["runs"]), asked["experiments"]) == (sorted(trials), [sweep])
    shown = view(store, sweep, found["sweep-clip"])
    assert shown["orderByKey"] == "metrics.`validation/fid_classifier`"
    assert shown["selectedColumns"] == ["metrics.`validation/fid_classifier`"]


def test_a_sweep_is_ordered_by_what_decides_in_it_and_compares_trials_that_have_a_value(
    store: MlflowClient, tmp_path: Path
) -> None:
    sweep = experiment(store, "sweep-modes", tmp_path)
    parent = store.create_run(sweep, 1000, {"sweep": "modes"}).info.run_id
    store.log_param(parent, "metric", "validation/modes_covered")
    store.log_param(parent, "mode", "max")
    store.log_metric(parent, "best/test_mean", 7.0)
    names = ("validation/sliced_wasserstein", "validation/modes_covered")
    whole = measured_run(store, sweep, "whole", 1001, *names, "best/modes_covered")
    lost = measured_run(store, sweep, "lost", 1002, *names)
    for trial, outcome in ((whole, "FINISHED"), (lost, "FAILED")):
        store.set_tag(trial, "mlflow.parentRunId", parent)
        store.set_terminated(trial, outcome)
    found = pages()
    shown = view(store, sweep, found["sweep-modes"])
    assert (shown["orderByKey"], shown["orderByAsc"]) == ("metrics.`best/modes_covered`", False)
    assert shown["selectedColumns"] == ["metrics.`best/modes_covered`", "metrics.`best/test_mean`"]
    assert parse_qs(urlsplit(found["sweep-modes, compared"]).query)["runs"] == [json.dumps([whole])]


def test_a_group_opens_in_the_order_of_its_first_extractors_fid_and_compares_the_newest_runs(
    store: MlflowClient, tmp_path: Path
) -> None:
    group = experiment(store, "faces", tmp_path)
    numbers = (
        "fid_classifier",
        "fid_inception",
        "fid_inception_floor",
        "fid_inception_sd_trainings",
        "recall_inception",
    )
    numbers = (*numbers, "fid_inception_sd_draws", "kid_inception", "kid_subset_inception", "precision_inception")
    scored = ("validation/fid_inception_bfloat16", "loss/generator")
    measured_run(store, group, "gan", 1000, *numbers, *scored)
    newest = [measured_run(store, group, name, 2000 + i, *numbers, *scored) for i, name in enumerate(("gan", "wgan"))]
    measured_run(store, group, "gan", 3000, *scored)  # still being trained: it hides none that was evaluated
    found = pages()
    assert found["faces"] == f"experiments/{group}/runs?workflowType=machine_learning&viewStateShareKey=gen-table"
    table, charts = (view(store, group, found[name]) for name in ("faces", "faces, compared"))
    for one in (table, charts):
        assert (one["orderByKey"], one["orderByAsc"]) == ("metrics.`fid_inception`", True)
    assert table["selectedColumns"] == [
        "metrics.`fid_inception`",
        "metrics.`fid_inception_sd_trainings`",
        "metrics.`fid_inception_floor`",
        "metrics.`fid_classifier`",
        "metrics.`kid_inception`",
        "metrics.`precision_inception`",
        "metrics.`recall_inception`",
    ]
    assert [(one["metricSectionId"], one["metricKey"]) for one in charts["compareRunCharts"]] == [
        ("Scores", "fid_inception"),
        ("Scores", "fid_classifier"),
        ("Scores", "kid_inception"),
        ("Scores", "precision_inception"),
        ("Scores", "recall_inception"),
        ("Validation", "validation/fid_inception_bfloat16"),
        ("Losses", "loss/generator"),
    ]
    sections = [one["uuid"] for one in charts["compareRunSections"]]
    assert sections == ["Scores", "Validation", "Losses"]
    shown = store.search_runs([group], charts["searchFilter"])
    assert sorted(run.info.run_id for run in shown) == sorted(newest)


def test_a_mixture_goes_by_the_variation_of_its_modes(store: MlflowClient, tmp_path: Path) -> None:
    group = experiment(store, "mixture9", tmp_path)
    measured_run(store, group, "gan", 1000, "fid_coordinates", "validation/mode_variation", "mode_variation")
    shown = view(store, group, pages()["mixture9"])
    assert shown["orderByKey"] == "metrics.`mode_variation`"
    assert shown["selectedColumns"] == ["metrics.`mode_variation`", "metrics.`fid_coordinates`"]


def test_metrics_of_the_test_split_are_a_group_and_older_names_stand_beside_them(
    store: MlflowClient, tmp_path: Path
) -> None:
    group = experiment(store, "digits", tmp_path)
    measured_run(store, group, "old", 1000, "fid_pixels", "fid_pixels_floor", "seconds")
    new = measured_run(
        store, group, "new", 2000, "test/fid_pixels", "test_floor/fid_pixels", "test_sd_draws/fid_pixels"
    )
    found = pages()
    table, charts = (view(store, group, found[name]) for name in ("digits", "digits, compared"))
    assert table["orderByKey"] == "metrics.`test/fid_pixels`"
    names = ("fid_pixels", "test/fid_pixels", "fid_pixels_floor", "test_floor/fid_pixels")
    assert table["selectedColumns"] == [f"metrics.`{name}`" for name in names]
    assert [one["metricKey"] for one in charts["compareRunCharts"]] == ["test/fid_pixels"]
    assert [run.info.run_id for run in store.search_runs([group], charts["searchFilter"])] == [new]


def test_every_run_that_is_compared_has_a_colour_of_its_own(store: MlflowClient, tmp_path: Path) -> None:
    group = experiment(store, "digits", tmp_path)
    chosen = palette(1)[0]
    runs = [measured_run(store, group, f"run{i}", 1000 + i, "test/fid_pixels") for i in range(14)]
    runs.append(measured_run(store, group, "unmeasured", 3000))
    store.set_tag(runs[5], COLOUR, chosen)  # in MLflow's pages, by somebody

    def colours() -> list[str]:
        return [store.get_run(run).data.tags[COLOUR] for run in runs]

    pages()
    found = colours()
    assert found[5] == chosen
    assert len(set(found)) == len(runs)
    pages()
    assert colours() == found, "they stay"


def test_as_many_runs_as_are_compared_fit_into_a_view(store: MlflowClient, tmp_path: Path) -> None:
    group = experiment(store, "many", tmp_path)
    metrics = [f"{name}_inception_{resizer}" for name in ("fid", "kid", "precision", "recall") for resizer in "abc"]
    for i in range(MOST_COMPARED + 1):
        measured_run(store, group, f"run{i}", 1000 + i, *metrics)
    charts = view(store, group, pages()["many, compared"])
    assert len(store.search_runs([group], charts["searchFilter"])) == MOST_COMPARED


def test_who_may_not_keep_a_view_gets_the_order_alone(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = experiment(store, "digits", tmp_path)
    measured_run(store, group, "gan", 1000, "fid_classifier")

    def refused(*_: object) -> None:
        raise MlflowException("Permission denied", 7)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refused)
    found = pages()
    assert found.keys() == {"digits"}
    asked = parse_qs(urlsplit(found["digits"]).query)
    assert (asked["orderByKey"], asked["orderByAsc"]) == (["metrics.`fid_classifier`"], ["true"])


@pytest.mark.slow
def test_it_serves_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    command, message = ui_command(), tmp_path / "said"
    with started(command, tmp_path, message) as ui:
        family = psutil.Process(ui.pid).children(recursive=True)
        assert len(family) > 1
        another = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert (another.returncode, another.stdout) == (1, "")
        assert another.stderr.startswith(f"error: port {command[-1]}: Address already in use; choose another: ")
    assert psutil.wait_procs(family, timeout=30)[1] == []


@pytest.mark.slow
def test_in_a_browser_scores_stand_before_what_was_recorded_while_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own order is that of the alphabet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = connect()
    group = experiment_id(store, "digits")
    for start, name in enumerate(("gan", "wgan")):
        measured_run(store, group, name, start, "test/fid_pixels", "validation/fid_pixels", "gradient_norm/generator")
    message = tmp_path / "said"
    with started(ui_command(), tmp_path, message) as ui:
        while "digits, compared: " not in message.read_text():
            assert ui.poll() is None
            time.sleep(0.2)
        text = shown(message.read_text().split("digits, compared: ")[1].split()[0], tmp_path)
    sections = re.findall(r"(Scores|Validation|Losses|Gradient norms|Model metrics)\s*\(\d+\)", text)
    assert sections[:3] == ["Scores", "Validation", "Gradient norms"]


def ui_command() -> list[str]:
    """`gen ui` on a free port, which is its last word."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return [str(Path(sys.executable).with_name("gen")), "ui", "--port", str(probe.getsockname()[1])]


@contextmanager
def started(command: list[str], folder: Path, message: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The command, once its server answers; what it says is in a file."""
    with message.open("w") as out:
        ui = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=out)
    try:
        assert b"MLflow" in page(ui, f"http://127.0.0.1:{command[-1]}/", message)
        yield ui
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(timeout=60)


def page(ui: subprocess.Popen[bytes], address: str, message: Path) -> bytes:
    """What the server answers, once it does."""
    end = time.monotonic() + 120
    while True:
        assert ui.poll() is None, message.read_text()
        assert time.monotonic() < end, message.read_text()
        try:
            with urlopen(address, timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.2)
