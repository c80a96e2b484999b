"""The latent space of a trained model as a web page on this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from gen.abilities import Inference
from gen.data.dataset import Dataset, open_dataset
from gen.data.loader import Loader
from gen.errors import InputError
from gen.family import Batch
from gen.model import Model
from pipelines.commands.models import model_at
from pipelines.explore.app import app
from pipelines.explore.explored import Explored
from pipelines.explore.vectors import Vectors, from_file, from_labels

HOST = "127.0.0.1"
PREPARED = Path("data/prepared")
LABELLED = 2000
"""Training images that attribute vectors are taken of, at most."""
HELD_OUT = 1000
"""Images of the validation split that are offered, at most."""


def main(where: str, port: int, vectors: Path | None) -> None:
    """Serve a model's latent space until Ctrl-C.

    Args:
        where: the model, as `model_at` finds it.
        port: of the page; 0: any that is free.
        vectors: a file of attribute vectors, in place of those of the data set's labels.

    Raises:
        InputError: the model cannot be explored, the file holds no vectors of it, or the port is in use.
    """
    with listening(port) as opened:
        explored = ready(model_at(where), vectors)
        name = Path(where).name
        server = uvicorn.Server(uvicorn.Config(app(explored, name), log_level="warning", server_header=False))
        opened.listen(server.config.backlog)  # whoever reads the address may ask at once
        print(f"{name}: http://{HOST}:{opened.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        server.run(sockets=[opened])


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """A socket with that port of this machine alone. Raises InputError when another process has it."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended is gone
        try:
            one.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port}: {error.strerror}; choose another: --port {port + 1}") from None
        yield one


def ready(model: Model, vectors: Path | None = None) -> Explored:
    """The model with the images and vectors that are at hand. Raises InputError."""
    dataset = at_hand(model)
    encodes = isinstance(model.family, Inference)
    held_out = rows(model, dataset, "validation", HELD_OUT) if encodes and dataset else None
    explored = Explored(model, held_out and held_out.images, stored=dataset.shape if dataset else None)
    found: Vectors = {}
    if vectors is not None:
        found = from_file(vectors, explored.latent_dim)
    elif encodes and dataset:
        labelled = rows(model, dataset, "train", LABELLED)
        found = from_labels(explored.family, labelled, dataset.classes) if labelled else {}
    explored.vectors.update(found)
    return explored


def at_hand(model: Model) -> Dataset | None:
    """The prepared data set that a model was trained on, if it is here as it was then."""
    told = model.notes.get("dataset")
    if not isinstance(told, dict) or not (PREPARED / str(told.get("name")) / "MANIFEST.json").is_file():
        return None
    dataset = open_dataset(PREPARED / str(told["name"]))
    return dataset if dataset.digest == told.get("digest") else None


def rows(model: Model, dataset: Dataset, split: str, most: int) -> Batch | None:
    """Rows of a split, in an order of their own, as the model sees them; None of an empty one."""
    count = min(most, dataset.rows.get(split, 0))
    if not count:
        return None
    return Loader(dataset, split, batch_size=count, seed=0, resolution=model.data.image.height)[0]
