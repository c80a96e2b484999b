"""What a sweep costs besides training: twelve trials of about a minute on two slots; and ASHA against none.

    python -m benchmarks.sweep

Overhead is (slots x wall - sum of training) / sum of training. Wall is that of the whole stage, from its first import
to its figures, Ray included; a trial's training is what gen/training/journal.py counts, scores and checkpoints
included: the column `seconds` of trials.csv. ASHA and none search the same space at random with the same budget of
steps: how many trials they make of it and the best that each finds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.report import report

ROOT = Path(__file__).parent.parent
SLOTS = 2
SWEEP: dict[str, Any] = {
    "run": "ring8_wgan_gp",
    "dataset": "ring8",
    "family": "wgan_gp",
    "changes": {},
    "space": {"model.lr": {"values": [2.5e-4, 5e-4, 1e-3, 2e-3], "log": True}},
    "seeds": 3,
    "steps": 2000,
    "evaluate_every": 500,
    "metric": "validation/mode_variation",
    "mode": "min",
    "search": "grid",
    "points": None,
    "budget": None,
    "scheduler": "none",
    "grace_period": None,
    "concurrency": SLOTS,
}
RANDOM: dict[str, Any] = {
    **SWEEP,
    "space": {
        "model.lr": {"low": 1e-5, "high": 1e-2, "log": True},
        "model.penalty_weight": {"low": 0.01, "high": 100.0, "log": True},
    },
    "seeds": 1,
    "steps": 800,
    "evaluate_every": 100,
    "search": "random",
    "points": 1000,
    "budget": 8000,
}
SWEEPS = {
    "overhead": SWEEP,
    "none": RANDOM,
    "asha": {**RANDOM, "scheduler": "asha", "grace_period": 100},
}


def run(folder: Path, stage: str, name: str) -> float:
    """Seconds that a stage took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("gen"), stage, name], cwd=folder, env=environment, check=True)
    return time.monotonic() - start


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["sweeps"] = SWEEPS
        (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for stage in ("fetch", "prepare", "reference"):
            run(folder, stage, "ring8")
        walls = {name: run(folder, "sweep", name) for name in SWEEPS}
        tables = {name: pd.read_csv(folder / "sweeps" / name / "trials.csv") for name in SWEEPS}
    training = float(tables["overhead"]["seconds"].sum())
    figures: dict[str, Any] = {
        "overhead_percent": round(100 * (SLOTS * walls["overhead"] / training - 1), 1),
        "wall_s": round(walls["overhead"], 1),
        "training_s": round(training, 1),
        "longest_trial_s": round(float(tables["overhead"]["seconds"].max()), 1),
        "shortest_trial_s": round(float(tables["overhead"]["seconds"].min()), 1),
    }
    for name in ("none", "asha"):
        table = tables[name]
        figures[name] = {
            "trials": len(table),
            "trials_per_hour": round(3600 * len(table) / walls[name]),
            "steps": int(table["steps"].sum()),
            "best": round(float(table["best"].min()), 4),
        }
    report("sweep", figures, ["ray", "optuna", "torch"])


if __name__ == "__main__":
    main()
