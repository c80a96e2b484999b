"""A model that MLflow keeps, as the folder that it was exported to."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow

from gen.errors import InputError
from pipelines.runtime.patience import within_a_minute
from pipelines.tracking.store import connect, embedded, peer, tracking_uri

URIS = ("models:/", "runs:/")


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """The exported model behind `models:/<name>@<alias>`, `models:/<name>/<version>` or `runs:/<run id>/<path>`.

    It lies in a temporary folder, which is gone after the block.

    Raises:
        InputError: MLflow does not answer, has no such model, or what it has was not exported by a run.
    """
    if embedded() and not Path(tracking_uri().removeprefix("sqlite:///")).exists():
        raise InputError(f"{uri}: no run was tracked in this checkout, and MLFLOW_TRACKING_URI names no server")
    logging.getLogger("mlflow.artifacts").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:

        def download() -> None:
            connect()
            mlflow.set_tracking_uri(tracking_uri())
            mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)

        try:
            within_a_minute(peer(), download)
        except Exception as error:  # MLflow's own, the network's or the database's
            raise InputError(f"{uri}: {' '.join(str(error).split())[:200]}") from None
        found = sorted(Path(folder).rglob("model.json"), key=lambda path: len(path.parts))
        if not found:
            raise InputError(f"{uri}: no exported model is in it; name one that a run has registered")
        yield found[0].parent
