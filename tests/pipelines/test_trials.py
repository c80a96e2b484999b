"""Trials of sweeps: values, errors and metrics that are none."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from gen.config.sweep import Sweep
from gen.training.checkpoint import Checkpoints
from pipelines.sweeps.trial import history
from pipelines.sweeps.watch import Halving
from tests.pipelines.conftest import ROOT, Workplace, ring_run
from tests.pipelines.sweeping import EVERY, run, sweep_of, tracked, trials, write


def test_a_trial_that_goes_on_is_not_ended_where_it_had_passed() -> None:
    """It passed 50 and 100 steps as the first; others, better at these, are known when it tells of them again."""
    sweep = Sweep.model_validate(sweep_of(scheduler="asha", grace_period=EVERY))

    def decisions(*remembered: int) -> list[str]:
        halving = Halving(sweep)
        going: Any = SimpleNamespace(trial_id="going")
        halving.on_trial_add(None, going)  # type: ignore[arg-type]
        for other in ("better", "best"):
            for step in (50, 100):
                halving.remember(other, step, 0.1)
        for step in remembered:
            halving.remember("going", step, 0.9)
        told = ({"step": step, sweep.metric: 0.9} for step in (50, 100))
        return [halving.on_trial_result(None, going, result) for result in told]  # type: ignore[arg-type]

    assert decisions(50, 100) == ["CONTINUE", "CONTINUE"]
    assert decisions(50) == ["CONTINUE", "STOP"], "what is new is judged"
    assert decisions()[0] == "STOP"


def test_a_value_that_is_not_finite_ends_its_trial_and_no_other() -> None:
    halving = Halving(Sweep.model_validate(sweep_of(scheduler="asha", grace_period=EVERY, mode="max")))

    def decision(name: str, value: float) -> str:
        one: Any = SimpleNamespace(trial_id=name)
        halving.on_trial_add(None, one)  # type: ignore[arg-type]
        return halving.on_trial_result(None, one, {"step": EVERY, halving.metric: value})

    assert [decision("infinite", float("inf")), decision("other", 1.0)] == ["STOP", "CONTINUE"]
    halving.remember("recalled", EVERY, float("inf"))
    assert decision("third", 2.0) == "CONTINUE"


def test_each_value_makes_a_step_before_anything_starts(workplace: Workplace) -> None:
    rates = [1e-4 * (1 + number) for number in range(30)]
    space = {"batch_size": {"values": [32, 1]}, "model.lr": {"values": rates, "log": True}}
    sweep = sweep_of(space, family="ali")
    workplace.write(sweeps={"clip": sweep}, ring=ring_run("ali"))
    done = workplace.here("sweep", "clip")
    assert done.returncode == 1
    assert "error: sweeps.clip[batch_size=1 lr=0.0001]: cannot be trained with 1 rows at a time" in done.stderr


def test_what_a_checkpoint_has_on_record_is_a_row_for_each_step(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), "run", "0" * 64)
    told = [{"step": 50.0, "loss/critic": 1.0, "seconds": 2.0}, {"step": 50.0, "validation/fid": 3.0, "seconds": 2.5}]
    checkpoints.save(50, {"steps_done": 50, "history": told}, keep=1, best=None)
    assert history(checkpoints) == [{"step": 50.0, "loss/critic": 1.0, "validation/fid": 3.0, "seconds": 2.5}]


@pytest.mark.slow
def test_a_trial_that_diverges_is_one_of_the_results(workplace: Workplace) -> None:
    space = {"model.lr": {"values": [5e-4, 1e30], "log": True}}
    write(workplace, sweep_of(space, seeds=1, changes={"model.clip": 1e30}))
    run(workplace)
    found = trials(workplace).set_index("model.lr")
    assert found["outcome"].tolist() == ["finished", "diverged"]
    assert np.isnan(found["best"][1e30])
    assert yaml.safe_load((workplace.folder / "sweeps" / "clip" / "best.yaml").read_text())["values"] == {
        "model.lr": 5e-4
    }
    _, children, _ = tracked(workplace)
    assert {one.data.params["model.lr"]: one.info.status for one in children.values()} == {
        "0.0005": "FINISHED",
        "1e+30": "FAILED",
    }


@pytest.mark.slow
def test_a_trial_whose_gradient_has_no_finite_norm_is_no_result(workplace: Workplace) -> None:
    """All its losses and weights are finite: it is trained to its end, and infinity is not the largest of norms."""
    space = {"model.penalty_weight": {"values": [0.1, 1e20, 1e30], "log": True}}
    entry = sweep_of(space, seeds=1, family="wgan_gp", metric="gradient_norm/critic", mode="max")
    workplace.write(sweeps={"clip": entry}, ring=ring_run("wgan_gp"))
    message = run(workplace)
    assert "1 diverged" in message
    found = trials(workplace).set_index("model.penalty_weight")
    assert found["outcome"].tolist() == ["finished", "diverged", "diverged"]
    assert found["best"].isna().tolist() == [False, True, True]
    best = yaml.safe_load((workplace.folder / "sweeps" / "clip" / "best.yaml").read_text())
    assert best["values"] == {"model.penalty_weight": 0.1}
    assert (best["test"], best["floor"]) == (None, None), "of which real images have none"
    _, children, _ = tracked(workplace)
    assert sorted(one.info.status for one in children.values()) == ["FAILED", "FAILED", "FINISHED"]
    assert run(workplace).splitlines()[-4:] == message.splitlines()[-4:], "nor when it is told of again"


@pytest.mark.slow
def test_an_error_in_a_family_is_not_tried_again_and_kept_with_its_trial(workplace: Workplace) -> None:
    code = workplace.folder / "code"
    for package in ("gen", "pipelines"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    family = code / "gen" / "families" / "wgan.py"
    loss = "self.critic(self.decode(self.prior(noise)))"
    assert loss in family.read_text()
    # What depends on values is not met by the step without numbers that every point makes before a sweep begins.
    family.write_text(family.read_text().replace(loss, f"{loss}[torch.tensor([10**6])]"))
    del workplace.environment["RAY_ADDRESS"]  # a Ray of its own, whose workers import the copy
    workplace.environment["PYTHONPATH"] = str(code)
    write(workplace, sweep_of({"model.clip": {"values": [0.01], "log": False}}, seeds=1))
    done = workplace.run("sweep", "clip")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert re.search(r"1 of 1 trials failed, the first with: IndexError: .*gen/families/wgan.py:\d+ in ", done.stderr)
    assert "has what there is" not in done.stderr, "nothing was written"
    assert len(list((workplace.folder / "storage").glob("*/*/failure.json"))) == 1
    _, children, store = tracked(workplace)
    (child,) = children.values()
    assert child.info.status == "FAILED"
    kept = store.download_artifacts(child.info.run_id, "traceback.txt", str(workplace.folder))
    assert "IndexError" in Path(kept).read_text()

    shutil.copy(ROOT / "gen" / "families" / "wgan.py", family)
    run(workplace)
    assert trials(workplace)["outcome"].tolist() == ["finished"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_joint_search_by_trials_of_several_workers(workers: int, workplace: Workplace) -> None:
    space = {
        "model.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.n_critic": {"low": 1, "high": 3},
    }
    joint = sweep_of(space, seeds=1, search="tpe", points=2, steps=100, changes={"compute.workers": workers})
    write(workplace, joint)
    run(workplace)
    found = trials(workplace)
    assert len(found) == 2
    assert found["model.n_critic"].isin([1, 2, 3]).all()
    assert found["model.lr"].between(1e-4, 1e-2).all()
    figures = workplace.folder / "sweeps" / "clip" / "figures"
    for name in ("parallel", "importance"):
        assert np.asarray(Image.open(figures / f"{name}.png").convert("L")).std() > 1


@pytest.mark.slow
def test_a_metric_that_no_trial_has_ends_the_sweep_at_once(workplace: Workplace) -> None:
    write(workplace, sweep_of(metric="loss/critc", steps=100_000, evaluate_every=50))
    done = workplace.run("sweep", "clip")
    assert done.returncode == 1
    message = done.stderr.strip()
    assert message.startswith("error: sweeps.clip.metric: trials have no loss/critc; they have gradient_norm/critic, ")
    assert "\n" not in message
    assert not (workplace.folder / "sweeps" / "clip").exists()
    parent, children, _ = tracked(workplace)
    assert (parent.info.status, {run.info.status for run in children.values()}) == ("FAILED", {"KILLED"})
    assert "trials have no loss/critc" in parent.data.tags["outcome"]


@pytest.mark.slow
def test_a_storage_that_fills_up_is_one_line(workplace: Workplace) -> None:
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this system lets nobody have a disk of his own")
    write(workplace, sweep_of(steps=3000))
    (workplace.folder / "storage").mkdir()
    gen = Path(sys.executable).with_name("gen")
    done = subprocess.run(
        [*apart, "sh", "-c", f"mount -t tmpfs -o size=100k none storage && exec {gen} sweep clip"],
        cwd=workplace.folder,
        env={name: value for name, value in workplace.environment.items() if name != "RAY_ADDRESS"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cluster.storage: "), done.stderr
    assert done.stderr.count("\n") == 1
    parent, children, _ = tracked(workplace)
    assert "RUNNING" not in {run.info.status for run in (parent, *children.values())}
