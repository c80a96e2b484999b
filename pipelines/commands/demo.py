"""The group `digits` of params.yaml from nothing to a comparison: one local Ray for all stages, then `dvc repro`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from gen.config.load import load_params
from gen.config.params import Params
from pipelines.reports.tables import beginning
from pipelines.runtime import cluster

GROUP = "digits"


def main(path: Path) -> None:
    """Run the stages, and say how to look at what they made."""
    params = load_params(path)
    need = [run.compute.workers * run.compute.threads for run in params.runs.values() if run.group == GROUP]
    with cluster.joined(params.cluster, max(need, default=1)):
        environment = os.environ | {"RAY_ADDRESS": cluster.address(), "PYTHONUNBUFFERED": "1"}
        dvc = [str(Path(sys.executable).with_name("dvc")), "repro", f"compare@{GROUP}"]
        with subprocess.Popen(dvc, env=environment, stdout=subprocess.PIPE, text=True) as process:
            ran = counted(process.stdout or (), stages(params))
    if process.returncode:
        raise SystemExit(process.returncode)
    out = Path("comparisons") / GROUP
    if f"compare@{GROUP}" not in ran:  # which shows it, too
        print(f"\n{beginning((out / 'table.md').read_text(encoding='utf-8'))}")
    print(f"All columns: {out}/table.md. Curves, grids and models in MLflow: make ui")
    print(f"The page: {(out / 'index.html').absolute().as_uri()}")


def stages(params: Params) -> int:
    """How many stages the comparison is of."""
    runs = [name for name, run in params.runs.items() if run.group == GROUP]
    datasets = {params.runs[name].dataset for name in runs}
    few_labels = [name for name in params.svm if name in runs]
    return (
        1 + 3 * len(datasets) + 2 * len(runs) + len(few_labels) + 1
    )  # with the digests of the code, and the comparison


def counted(lines: Iterable[str], total: int) -> set[str]:
    """Pass on what DVC prints, with the number of each stage. Returns the stages that were run."""
    number, ran = 0, set()
    for line in lines:
        found = re.match(r"(Running stage|Stage) '([^']+)'", line)
        if found is None:
            print(line, end="", flush=True)
            continue
        number += 1
        running, stage = found[1] == "Running stage", found[2]
        print(f"stage {number} of {total}: {stage}{'' if running else ' is up to date'}", flush=True)
        ran |= {stage} if running else set()
    return ran
