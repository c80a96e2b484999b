"""What is tracked of a run before its first step: its settings, data, and where it comes from."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE

from gen.config.params import Run, flat
from gen.data.dataset import Dataset
from gen.secrets import masked
from pipelines.tracking.notes import RUN
from pipelines.tracking.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is tracked of a data set."""

    name: str
    digest: str
    folder: str
    rows: Mapping[str, int]
    shape: list[int]
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "Data":
        """Those of a prepared data set."""
        return cls(
            name=dataset.name,
            digest=dataset.digest,
            folder=str(dataset.folder),
            rows=dict(dataset.rows),
            shape=list(dataset.shape),
            manifest=dataset.manifest,
        )


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is tracked of a run before its first step."""

    name: str
    experiment: str
    params: Mapping[str, Any]
    """Nested; MLflow gets them flat."""
    tags: Mapping[str, str]
    """What to find it by, and where it comes from."""
    dataset: Data
    attempt: str
    storage: str
    """Where its checkpoints are, without a secret."""
    checkout: str = field(default_factory=lambda: str(Path.cwd()))

    def as_json(self) -> dict[str, Any]:
        """As JSON has it, with the settings in the words that MLflow shows."""
        return asdict(self) | {"params": {path: str(value) for path, value in flat(self.params).items()}}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> "Facts":
        """What `as_json` gave."""
        return cls(**{**told, "dataset": Data(**told["dataset"])})


def facts_of(
    run: Run,
    name: str,
    dataset: Dataset,
    *,
    identity: str,
    attempt: str,
    storage: str,
    device: str,
    change: str = "",
) -> Facts:
    """Those of an entry of `runs`, and what it has different from the committed params file."""
    tags = {"family": run.family, "seed": str(run.seed), **where_from(dataset, identity, device)}
    tags |= {"change": change} if change else {}
    return Facts(
        name=name,
        experiment=run.group,
        params=run.model_dump(),
        tags=tags,
        dataset=Data.of(dataset),
        attempt=attempt,
        storage=masked(storage),
    )


def where_from(dataset: Dataset, identity: str, device: str) -> dict[str, str]:
    """Tags that say what a result comes from: data, code, versions, device."""
    found = provenance(device, dataset.folder)
    return {
        "identity": identity,
        "dataset": dataset.name,
        "device": device,
        "data_digest": dataset.digest,
        MLFLOW_SOURCE_NAME: " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        MLFLOW_SOURCE_TYPE: "LOCAL",
        MLFLOW_GIT_COMMIT: found["git_commit"],
        **found,
    }


def note(facts: Facts) -> str:
    """Description of a run."""
    if "sweep" in facts.tags:
        return (
            f"The sweep {facts.name} on {facts.dataset.name} as a whole. Its trials are the runs below it; "
            "its tables and figures are among its artifacts."
        )
    return (
        f"{RUN}the family {facts.tags['family']} on {facts.dataset.name}, with seed {facts.tags['seed']}. "
        "Metrics that begin with validation/ score its checkpoints on the validation split; those with test/ are of "
        "its best checkpoint on the test split; validation_floor/ and test_floor/ have the same of held-out real data. "
        "Losses of different families cannot be compared."
    )


def shown_name(facts: Facts) -> str:
    """A run's name in MLflow, with what it has different from the committed params file."""
    return " ".join(filter(None, (facts.name, facts.tags.get("change"))))
