"""What looking at the validation split costs in training: its share of the time of every run that was trained here.

    dvc repro compare@digits && python -m benchmarks.looks

Every run tells it (`scoring_share_of_time`, the time since its first step, scores included); this puts them together.
"""

import json
import sys
from pathlib import Path

from benchmarks.report import report, spread


def main() -> None:
    told = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(Path("models").glob("*/*/metrics.json"))
    }
    shares = {run: 100 * metrics["scoring_share_of_time"] for run, metrics in told.items()}
    if not shares:
        sys.exit("models/: no run has been trained here; dvc repro compare@digits trains seven")
    figures = {
        "percent of training, over runs (wanted: at most 5)": spread([*shares.values()], 2),
        "percent of training": {run: round(share, 2) for run, share in shares.items()},
    }
    report("looks", figures, ["torch"])


if __name__ == "__main__":
    main()
