"""Stage code: digests of the code behind every result into data/code, by which DVC knows what an edit makes stale.

Each other stage has its own among its deps.
"""

import hashlib
import shutil
from pathlib import Path

from gen.code import code_digest, defaults, modules_in, read
from gen.data.folder import room_for
from gen.training.identity import weights_code

OUT = Path("data/code")
SCORING = "gen.training.scores"
"""What chooses the checkpoint that is exported."""
RUN = ("gen.config.params.Run", "gen.config.params.Compute")
REFERENCE = "gen.config.params.Reference"
SWEEP = "gen.config.sweep.Sweep"
EXPLORATION = "gen.config.params.Exploration"


def roots() -> dict[str, tuple[str, ...]]:
    """Where the code of each stage begins; for each source or family, where it differs from one to the next."""
    sources = {name: f"gen.data.sources.{name}" for name in modules_in("gen.data.sources")}
    weights = {name: (*weights_code(name), SCORING) for name in modules_in("gen.families")}
    evaluators = [f"gen.evaluators.{name}" for name in modules_in("gen.evaluators")]
    return {
        **{f"fetch/{name}": fetching(source) for name, source in sources.items()},
        **{f"prepare/{name}": ("gen.data.prepare", source) for name, source in sources.items()},
        "reference": ("pipelines.stages.reference",),
        **{f"train/{name}": code for name, code in weights.items()},
        "evaluate": ("pipelines.stages.evaluate", *evaluators),
        "svm": ("pipelines.stages.svm",),
        "explore": ("pipelines.stages.explore",),
        **{f"sweep/{name}": (*code, "pipelines.stages.sweep") for name, code in weights.items()},
        "compare": ("pipelines.stages.compare", *(f"{one}.NUMBERS" for one in evaluators)),
        "critics": ("pipelines.stages.critics",),
    }


def sections() -> dict[str, tuple[str, ...]]:
    """The sections of a params file that each stage reads, whose defaults therefore decide with the code."""
    sources = {name: (f"gen.data.sources.{name}.Config",) for name in modules_in("gen.data.sources")}
    families = {name: (f"gen.families.{name}.Config", *RUN) for name in modules_in("gen.families")}
    return {
        **{f"fetch/{name}": section for name, section in sources.items()},
        **{f"prepare/{name}": section for name, section in sources.items()},
        "reference": (REFERENCE,),
        **{f"train/{name}": section for name, section in families.items()},
        "evaluate": (REFERENCE,),
        "explore": (EXPLORATION,),
        **{f"sweep/{name}": (*section, SWEEP, REFERENCE) for name, section in families.items()},
    }


def digests() -> dict[str, str]:
    """Of each stage: of its code, and of the defaults of what it reads in the params."""
    found = {}
    for name, code in roots().items():
        usual = defaults(*sections().get(name, ()))
        digest = code_digest(*code)
        found[name] = hashlib.sha256(f"{digest}\n{usual}".encode()).hexdigest() if usual else digest
    return found


def fetching(source: str) -> tuple[str, ...]:
    """What of a source decides which files are fetched; how it reads them does not."""
    return tuple(f"{source}.{name}" for name in ("files", "gather") if name in read(source))


def main() -> None:
    """Write a file for each digest."""
    shutil.rmtree(OUT, ignore_errors=True)
    for name, digest in digests().items():
        path = OUT / name
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{digest}\n", encoding="utf-8")
