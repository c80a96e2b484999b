"""Where a run comes from: commit, data, versions, device."""

import platform
import subprocess
from pathlib import Path
from typing import Any

import ray
import torch
import yaml

from pipelines.tracking.changes import experiment

NEW = ("ls-files", "--others", "--exclude-standard", "--", "gen", "pipelines")
"""Code that no commit has, such as a new family's; what else lies about decides nothing."""


def provenance(device: str, data: Path) -> dict[str, str]:
    """Tags that let somebody find out later what exactly was run."""
    tried = experiment()
    return {
        **({"dvc_experiment": tried} if tried else {}),
        "git_commit": _git("rev-parse", "HEAD") or "unknown",
        "git_dirty": str(bool(_git("status", "--porcelain", "--untracked-files=no") or _git(*NEW))).lower(),
        "dvc_data_hash": _dvc_hash(data) or "unknown",
        "device_name": torch.cuda.get_device_name() if device == "cuda" and torch.cuda.is_available() else _cpu(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": ray.__version__,
    }


def _git(*words: str) -> str:
    try:
        return subprocess.run(
            ["git", *words], capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""  # not a checkout: an installed package, a container


def _dvc_hash(data: Path) -> str:
    """The hash DVC knows the prepared data by, from whichever dvc.lock names it."""
    for lock in (Path("dvc.lock"), Path("paper/dvc.lock")):
        if not lock.is_file():
            continue
        try:
            stages: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
            outs = [out for stage in stages.values() for out in stage.get("outs", ())]
            found = [str(out["md5"]) for out in outs if out["path"] == str(data)]
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError):
            continue  # of a merge, say, that is not done: only a tag needs it
        if found:
            return found[0]
    return ""


def _cpu() -> str:
    return platform.processor() or platform.machine()
