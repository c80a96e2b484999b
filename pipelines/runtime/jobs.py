"""What a run needs before it can be trained: its data, what it is judged by, where it keeps its checkpoints."""

from pathlib import Path
from typing import Any

import ray

from gen.config.params import Cluster, Logging, Run
from gen.data.dataset import Dataset, open_dataset
from gen.errors import InputError
from gen.evaluation.reference import Reference, open_reference
from gen.export import model_folder
from pipelines.runtime import above
from pipelines.runtime.worker import MODELS, Job, code_of

SCORING = "scoring"
"""Folder of what training needs of a data set's first extractor (of an Inception the rounded one): another extractor
beside it then changes nothing that runs depend on."""


def open_inputs(dataset: str, extractor: str = SCORING) -> tuple[Dataset, Reference]:
    """The prepared data set, and what its runs are judged by; what is wrong with them is found now, not by the workers.

    Raises:
        InputError: either is missing or damaged, or they do not belong together.
    """
    prepared = open_dataset(Path("data/prepared") / dataset)
    judge = open_reference(Path("data/reference") / dataset / extractor)
    if judge.described["data_digest"] != prepared.digest:
        raise InputError(f"{judge.folder}: of other data than is prepared; run dvc repro reference@{dataset}")
    return prepared, judge


def storage_of(cluster: Cluster) -> str:
    """Where checkpoints go: an absolute folder, one of the checkout that experiments belong to, or a URL."""
    return cluster.storage if "://" in cluster.storage else str(above.home() / cluster.storage)


def job_of(
    run: Run,
    name: str,
    inputs: tuple[Dataset, Reference],
    *,
    device: str,
    score_samples: int,
    score_every: int,
    logging: Logging,
    storage: str,
    identity: str,
    mailbox: Any = None,
) -> Job:
    """What the run's workers are told."""
    dataset, judge = inputs
    pinned = {
        "compute": run.compute.model_copy(update={"device": device}),
        **{name: str(model_folder(model).absolute()) for name in MODELS if (model := getattr(run, name))},
    }
    return Job(
        run=run.model_copy(update=pinned),
        name=name,
        data=dataset.folder.absolute(),
        reference=judge.folder.absolute(),
        score_samples=score_samples,
        score_every=score_every,
        logging=logging,
        storage=storage,
        identity=identity,
        mailbox=mailbox,
        node=ray.get_runtime_context().get_node_id() if ray.is_initialized() else "",
        code=code_of(run.family),
    )
