"""The group `digits` of params.yaml from nothing to a comparison: one local Ray for all stages, then `dvc repro`."""

import os
import subprocess
import sys
from pathlib import Path

from gen import config
from pipelines import cluster, command
from pipelines.tables import beginning

GROUP = "digits"


def main() -> None:
    """Run the stages, and say how to look at what they made."""
    parser = command.parser("demo", __doc__ or "", "python -m pipelines.demo")
    parser.parse_args()
    params = config.load(command.PARAMS)
    need = [run.compute.workers * run.compute.threads for run in params.runs.values() if run.group == GROUP]
    with cluster.joined(params.cluster, max(need, default=1)):
        environment = os.environ | {"RAY_ADDRESS": cluster.address()}
        dvc = [str(Path(sys.executable).with_name("dvc")), "repro", f"compare@{GROUP}"]
        done = subprocess.run(dvc, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    out = Path("comparisons") / GROUP
    print(f"\n{beginning((out / 'table.md').read_text(encoding='utf-8'))}")
    print(f"All columns: {out}/table.md. The page: {out}/index.html. Curves, grids and models in MLflow: make ui")


if __name__ == "__main__":
    sys.exit(command.run(main))
