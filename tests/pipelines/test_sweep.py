"""The stage sweep@<name> for real: Ray Tune, an MLflow database, kills."""

import json
import re
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
import yaml
from PIL import Image

from gen.config.load import load_params
from gen.data.folder import LOCKS
from pipelines.runtime.jobs import open_inputs
from pipelines.sweeps.plan import Plan
from pipelines.tracking.stored import sweep_trials
from tests.pipelines.conftest import Workplace, ring_run
from tests.pipelines.sweeping import (
    EVERY,
    STEPS,
    logged_steps,
    run,
    seconds_on_record,
    sweep_of,
    tracked,
    trial_processes,
    trials,
    wait_for,
    write,
)


@pytest.mark.slow
def test_from_a_params_entry_to_a_figure(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workplace, sweep_of())
    message = run(workplace)
    assert "4/4 trials, 0 running, best" in message
    assert re.search(r"^adopt the (best|first): dvc exp run -S runs.ring.model.clip=", message, re.M)

    folder = workplace.folder / "sweeps" / "clip"
    found = trials(workplace)
    assert found["trial"].tolist() == ["0000_0", "0000_1", "0001_0", "0001_1"]
    assert found["model.clip"].tolist() == [0.01, 0.01, 0.1, 0.1]
    assert set(found["outcome"]) == {"finished"}
    results = pd.read_parquet(folder / "results.parquet")
    assert len(results) == 4 * STEPS / EVERY
    by_trial = results.groupby("trial")["validation/sliced_wasserstein"].min()
    assert by_trial.tolist() == pytest.approx(found["best"].tolist())

    best = yaml.safe_load((folder / "best.yaml").read_text())
    means = found.groupby("model.clip")["best"].mean()
    assert best["values"] == {"model.clip": means.idxmin()}
    assert best["optimistic"]["mean"] == pytest.approx(means.min())
    assert (best["seeds"], best["steps_reached"], best["pruned"]) == (2, STEPS, 0)
    assert best["floor"]["draws"] == 20
    assert 0 < best["floor"]["mean"] < best["test"]["mean"], "after so few steps no model is as good as real data"
    numbers = json.loads((folder / "metrics.json").read_text())
    assert numbers["best_test_mean"] == best["test"]["mean"]
    assert numbers["best_optimistic_mean"] == best["optimistic"]["mean"]
    assert numbers["floor_mean"] == best["floor"]["mean"]
    assert best["adopt"] == f"dvc exp run -S runs.ring.model.clip={means.idxmin()} train@ring"
    for name in ("metric", "best_so_far"):
        assert np.asarray(Image.open(folder / "figures" / f"{name}.png").convert("L")).std() > 1

    parent, children, store = tracked(workplace)
    assert set(children) == {f"clip={clip} seed={seed}" for clip in ("0.01", "0.1") for seed in (3, 4)}
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    assert parent.data.metrics["best/optimistic_mean"] == pytest.approx(means.min())
    assert parent.data.metrics["best/test_mean"] == pytest.approx(best["test"]["mean"])
    for one in children.values():
        assert logged_steps(store, one) == list(range(EVERY, STEPS + 1, EVERY))
        assert one.data.metrics["best/sliced_wasserstein"] in found["best"].tolist()
    assert {run.data.params["model.clip"] for run in children.values()} == {"0.01", "0.1"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workplace.folder}/tracking/mlflow.db")
    assert set(sweep_trials(parent.info.experiment_id)) == {one.info.run_id for one in children.values()}
    assert "figures/metric.png" in {file.path for file in store.list_artifacts(parent.info.run_id, "figures")}

    workplace.write(sweeps={"clip": sweep_of()}, ring=ring_run("wgan", clip=0.1 if means.idxmin() == 0.01 else 0.01))
    run(workplace)
    again = yaml.safe_load((folder / "best.yaml").read_text())
    assert again == best, "its models have the same number anew"
    pd.testing.assert_frame_equal(trials(workplace), found)  # seconds of training too: none is trained again
    recalled = tracked(workplace)[1].values()
    before = {one.info.run_id: one.info.end_time for one in children.values()}
    assert {one.info.run_id: one.info.end_time for one in recalled} == before, "nor does it seem to have taken longer"


@pytest.mark.slow
def test_a_family_with_a_loss_on_held_out_rows_is_swept_by_it(workplace: Workplace) -> None:
    space = {"model.beta": {"values": [1.0, 30.0], "log": True}}
    entry = sweep_of(space, run="ring", family="vae", seeds=1, concurrency=1, metric="validation/nats_bound")
    model = {"latent_dim": 2, "width": 32, "likelihood": "gaussian"}
    workplace.write(sweeps={"clip": entry}, ring=ring_run("vae") | {"model": model})
    run(workplace)
    best = yaml.safe_load((workplace.folder / "sweeps" / "clip" / "best.yaml").read_text())
    assert best["test"]["mean"] == pytest.approx(best["optimistic"]["mean"], abs=0.3), "other points of the same ring"
    assert best["test"]["mean"] != best["optimistic"]["mean"]
    assert best["floor"] is None


@pytest.mark.slow
def test_killed_it_restores_every_trial_once(workplace: Workplace) -> None:
    write(workplace, sweep_of(steps=1000, evaluate_every=125))
    process = workplace.start("sweep", "clip")
    over = "storage/sweep_clip-*/*/run.json"
    wait_for(lambda: any("finished" in note.read_text() for note in workplace.folder.glob(over)), process)
    process.kill()
    process.communicate()
    ended = {note: note.stat().st_mtime_ns for note in workplace.folder.glob(over) if "finished" in note.read_text()}
    begun = {folder: seconds_on_record(folder) for folder in workplace.folder.glob("storage/sweep_clip-*/0*")}
    assert any(seconds and len(seconds) < 8 for seconds in begun.values()), "one was in the middle"
    end = time.monotonic() + 60
    while ray.available_resources().get("CPU") != 4:
        assert time.monotonic() < end, "CPUs of a killed sweep come back within a minute"
        time.sleep(0.5)

    message = run(workplace)
    assert "4/4 trials" in message
    found = trials(workplace)
    assert found["trial"].tolist() == ["0000_0", "0000_1", "0001_0", "0001_1"]
    assert (found["steps"] == 1000).all()
    evaluated = pd.read_parquet(workplace.folder / "sweeps" / "clip" / "results.parquet")
    assert evaluated["validation/sliced_wasserstein"].notna().all()
    assert all(seconds.is_monotonic_increasing for _, seconds in evaluated.groupby("trial")["seconds"])
    assert {note: note.stat().st_mtime_ns for note in ended} == ended, "what was over is not trained again"
    told = evaluated.set_index(["trial", "step"])["seconds"].to_dict()
    for folder, seconds in begun.items():
        for step, value in seconds.items():
            assert told[folder.name.rpartition("-")[0], step] == value, "what was begun is gone on with"
    parent, children, store = tracked(workplace)
    assert len(children) == 4
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    for one in children.values():
        assert logged_steps(store, one) == list(range(125, 1001, 125))


@pytest.mark.slow
def test_a_lost_process_costs_no_trial(workplace: Workplace) -> None:
    write(workplace, sweep_of(steps=1000, evaluate_every=125))
    process = workplace.start("sweep", "clip")
    wait_for(lambda: list(workplace.folder.glob("storage/sweep_clip-*/*/step_*/manifest.json")), process)
    for victim in trial_processes():
        victim.kill()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err + out
    assert trials(workplace)["steps"].tolist() == [1000] * 4
    _, children, store = tracked(workplace)
    assert all(logged_steps(store, one) == list(range(125, 1001, 125)) for one in children.values())


@pytest.mark.slow
def test_asha_prunes_and_a_pruned_trial_stays_pruned(workplace: Workplace) -> None:
    clips = [0.1, 0.2, 4e-5, 3e-5, 2e-5, 1e-5]
    space = {"model.clip": {"values": clips, "log": True}}
    write(workplace, sweep_of(space, seeds=1, scheduler="asha", grace_period=EVERY, concurrency=1))
    process = workplace.start("sweep", "clip")
    over = "storage/sweep_clip-*/trials/*.json"
    wait_for(lambda: any("pruned" in note.read_text() for note in workplace.folder.glob(over)), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    pruned = {note: note.read_text() for note in workplace.folder.glob(over) if "pruned" in note.read_text()}
    _, stopped, _ = tracked(workplace)
    assert "RUNNING" not in {one.info.status for one in stopped.values()}
    run(workplace)
    found = trials(workplace)
    assert len(found) == len(clips)
    outcomes = found.set_index("trial")["outcome"]
    assert (outcomes == "pruned").sum() >= 2
    assert outcomes["0000_0"] == "finished"
    for file, note in pruned.items():
        assert file.read_text() == note, "a trial that is over is not trained again"
        assert outcomes[file.stem] == "pruned"
    _, children, _ = tracked(workplace)
    assert len(children) == len(clips)
    statuses = {one.data.tags["outcome"]: one.info.status for one in children.values()}
    assert statuses == {"finished": "FINISHED", "pruned": "KILLED"}


def test_what_makes_a_sweep_the_same_sweep(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(sweep: dict[str, Any], ring: dict[str, Any], fresh: bool = False, score_samples: int = 100) -> Plan:
        workplace.write(sweeps={"clip": sweep}, ring=ring)
        params = load_params(workplace.folder / "params.yaml")
        judged = params.reference["ring8"].model_copy(update={"score_samples": score_samples})
        params = params.model_copy(update={"reference": {"ring8": judged}})
        return Plan(params, "clip", open_inputs("ring8"), "cpu", fresh)

    ring = ring_run("wgan")
    first = plan(sweep_of(), ring)
    same = [plan(sweep_of(), ring), plan(sweep_of(), ring_run("wgan", clip=0.5)), plan(sweep_of(concurrency=1), ring)]
    assert {(one.identity, one.attempt) for one in same} == {(first.identity, first.attempt)}
    forced = plan(sweep_of(), ring, fresh=True)
    assert forced.identity == first.identity
    assert forced.attempt != first.attempt, "all trials are trained anew"
    others = [
        plan(sweep_of(seeds=3), ring),
        plan(sweep_of(steps=2 * STEPS), ring),
        plan(sweep_of(changes={"batch_size": 16}), ring),
        plan(sweep_of(), ring_run("wgan", lr=1e-3)),
        plan(sweep_of(), ring, score_samples=99),
    ]
    monkeypatch.setattr("pipelines.sweeps.plan.code_digest", lambda *roots: "other code")
    others.append(plan(sweep_of(), ring))
    assert len({first.identity, *(one.identity for one in others)}) == 1 + len(others)


@pytest.mark.slow
def test_a_sweep_that_was_ended_in_the_middle_is_not_called_finished(workplace: Workplace) -> None:
    write(workplace, sweep_of(steps=20_000, evaluate_every=125))
    process = workplace.start("sweep", "clip")
    wait_for(lambda: list(workplace.folder.glob("storage/sweep_clip-*/*/step_*/manifest.json")), process)
    process.send_signal(signal.SIGUSR1)  # Ray Tune's own way of ending
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert out.strip().splitlines()[-1] == "clip: ended after 0 of its trials; start it again to go on"
    assert not (workplace.folder / "sweeps" / "clip").exists()
    parent, children, _ = tracked(workplace)
    assert {run.info.status for run in (parent, *children.values())} == {"KILLED"}


@pytest.mark.slow
def test_a_report_that_cannot_be_written_leaves_no_run_running(workplace: Workplace) -> None:
    """A folder stands where the lock of its results belongs, which are written last."""
    write(workplace, sweep_of({"model.clip": {"values": [0.1], "log": True}}, seeds=1, steps=EVERY))
    locked = "_".join((workplace.folder / "sweeps" / "clip").absolute().parts[1:]) + ".lock"
    (workplace.folder / LOCKS / locked).mkdir(parents=True)
    done = workplace.run("sweep", "clip")
    assert done.returncode != 0, done.stdout
    parent, children, _ = tracked(workplace)
    assert (parent.info.status, {run.info.status for run in children.values()}) == ("FAILED", {"FINISHED"})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_trials_at_once_lose_no_metric(workplace: Workplace) -> None:
    space = {"model.clip": {"values": [round(0.01 * n, 2) for n in range(1, 21)]}}
    write(workplace, sweep_of(space, seeds=1, concurrency=20))
    workplace.environment.pop("RAY_ADDRESS")  # a local Ray with as many CPUs as there are trials
    done = workplace.run("sweep", "clip")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr
    assert "database is locked" not in done.stdout + done.stderr
    _, children, store = tracked(workplace)
    assert len(children) == 20
    assert all(logged_steps(store, one) == list(range(EVERY, STEPS + 1, EVERY)) for one in children.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lost_node_costs_no_trial(workplace: Workplace) -> None:
    """Two nodes on this machine, of which the one without the driver is killed in mid-sweep."""
    write(workplace, sweep_of(steps=1000, evaluate_every=125))
    script = """
import os, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = nodes.add_node(num_cpus=1)
os.environ["RAY_ADDRESS"] = nodes.address
stage = subprocess.Popen([Path(sys.executable).with_name("gen"), "sweep", "clip"])
while len(list(Path("storage").glob("sweep_clip-*/*/step_*/manifest.json"))) < 2:
    assert stage.poll() is None
    time.sleep(0.05)
nodes.remove_node(second, allow_graceful=False)
sys.exit(stage.wait())
"""
    workplace.environment.pop("RAY_ADDRESS")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert trials(workplace)["steps"].tolist() == [1000] * 4
    _, children, store = tracked(workplace)
    assert all(logged_steps(store, one) == list(range(125, 1001, 125)) for one in children.values())
