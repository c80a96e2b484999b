"""Stage code: digests of the code behind every result into data/code.json, by which DVC knows what an edit makes stale.

All other stages have theirs among their params.
"""

import json
import sys
from pathlib import Path
from typing import Any

from gen.code import code_digest, modules_in, read
from gen.identity import weights_code
from pipelines import command

OUT = Path("data/code.json")
SCORING = "gen.scores"
"""What chooses the checkpoint that is exported."""


def digests() -> dict[str, Any]:
    """By stage; of stages whose code differs from one source or family to the next, by its name."""
    sources = {name: f"gen.data.sources.{name}" for name in modules_in("gen.data.sources")}
    families = {name: weights_code(name) for name in modules_in("gen.families")}
    return {
        "fetch": {name: code_digest(*fetching(module)) for name, module in sources.items()},
        "prepare": {name: code_digest("gen.data.prepare", module) for name, module in sources.items()},
        "reference": code_digest("pipelines.reference"),
        "train": {name: code_digest(*weights, SCORING) for name, weights in families.items()},
        "evaluate": code_digest("pipelines.evaluate"),
        "svm": code_digest("pipelines.svm"),
        "sweep": {name: code_digest(*weights, SCORING, "pipelines.sweep") for name, weights in families.items()},
        "compare": code_digest("pipelines.compare"),
        "critics": code_digest("pipelines.critics"),
    }


def fetching(source: str) -> list[str]:
    """What of a source decides which files are fetched; how it reads them does not."""
    return [f"{source}.{name}" for name in ("files", "gather") if name in read(source).names]


def main() -> None:
    """Write data/code.json."""
    command.parser("code", __doc__ or "", "python -m pipelines.code").parse_args()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(command.run(main))
