"""Preparing against bare scripts: CelebA against a PIL loop, CIFAR-10 against numpy + pyarrow.

    GEN_MIRROR=/path/to/mirror python -m benchmarks.prepare

CelebA: images/s per core of the whole stage (verify, unzip, check, decode, crop, resize, compress, write) over those of
a loop in one thread that opens each picture of the archive, crops and resizes it, and keeps nothing. Once both are held
to one core; once the loop runs on every core, each with its share, as the stage's threads do: cores that are all busy
are each slower, whatever they do, and threads of one process wait for each other where processes do not.
CIFAR-10: seconds of a script that unpacks, unpickles and writes Parquet, and does nothing else, over the stage's.
"""

import os
import pickle
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.report import report, spread
from gen.data.dataset import open_dataset
from gen.data.fetch import fetch
from gen.data.pictures import cores
from gen.data.prepare import prepare

CELEBA = {"source": "celeba", "crop": 178, "resolution": 64, "filter": "bicubic"}
CIFAR10 = {"source": "cifar10", "validation": 5000}
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
REPEATS = 5


def ratios(bare: list[float], own: list[float]) -> list[float]:
    return [a / b for a, b in zip(bare, own, strict=True)]


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@contextmanager
def one_core() -> Iterator[None]:
    """This thread, and those it starts, on one core inside the block."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    yield
    os.sched_setaffinity(0, all_of_them)


def bare_celeba(path: Path, part: int, parts: int) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist()[part::parts]:
            if not info.is_dir():
                picture = Image.open(BytesIO(archive.read(info))).convert("RGB").crop((0, 20, 178, 198))
                np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC))


def bare_cifar10(path: Path, out: Path) -> None:
    batches = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(BATCHES) and (file := archive.extractfile(member)):
                batches[Path(member.name).name] = pickle.loads(file.read(), encoding="bytes")  # noqa: S301
    train = [batches[name] for name in BATCHES[:5]]
    splits = {"train": train, "test": [batches["test_batch"]]}
    for split, parts in splits.items():
        pixels = np.concatenate([part[b"data"] for part in parts])
        images = pa.FixedSizeBinaryArray.from_buffers(pa.binary(3072), len(pixels), [None, pa.py_buffer(pixels)])
        labels = pa.array(np.concatenate([part[b"labels"] for part in parts]))
        ids = pa.array([name.decode() for part in parts for name in part[b"filenames"]])
        table = pa.table({"image": images, "label": labels, "id": ids})
        pq.write_table(table, out / f"{split}.parquet", compression="zstd", use_dictionary=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        for name, section in {"celeba": CELEBA, "cifar10": CIFAR10}.items():
            fetch(name, section, name, Path("raw") / name, mirror=os.environ["GEN_MIRROR"])
        faces, archive = Path("raw/celeba/img_align_celeba.zip"), Path("raw/cifar10/cifar-10-python.tar.gz")
        alone, own, loops, celeba, script, cifar10 = [], [], [], [], [], []

        def prepare_celeba() -> None:
            prepare("celeba", CELEBA, "celeba", Path("raw/celeba"), Path("celeba"))

        with get_context("spawn").Pool(n := cores()) as pool:
            shares = [(faces.absolute(), part, n) for part in range(n)]
            pool.starmap(bare_celeba, shares, chunksize=1)
            for _ in range(REPEATS):
                loops.append(seconds(lambda: pool.starmap(bare_celeba, shares, chunksize=1)))
                celeba.append(seconds(prepare_celeba))
                script.append(seconds(lambda: bare_cifar10(archive, Path())))
                cifar10.append(
                    seconds(lambda: prepare("cifar10", CIFAR10, "cifar10", Path("raw/cifar10"), Path("out")))
                )
        for _ in range(REPEATS):  # last: threads of pyarrow that begin on one core stay there
            with one_core():
                alone.append(seconds(lambda: bare_celeba(faces, 0, 1)))
                own.append(seconds(prepare_celeba))
        rows = sum(open_dataset(Path("celeba")).rows.values())
        os.chdir("/")
    figures = {
        "celeba over a bare loop, both on one core (wanted: 0.85)": spread(ratios(alone, own)),
        "celeba over a bare loop, both on every core": spread(ratios(loops, celeba)),
        "celeba images/s, one core": spread([rows / each for each in own], 0),
        "celeba images/s per core, every core busy": spread([rows / each / n for each in celeba], 0),
        "bare loop images/s per core, every core busy": spread([rows / bare / n for bare in loops], 0),
        "bare loop images/s, one core busy": spread([rows / bare for bare in alone], 0),
        "cifar10 over a bare script (wanted: 1)": spread(ratios(script, cifar10)),
        "cifar10 seconds": spread(cifar10, 2),
        "bare script seconds": spread(script, 2),
        "images": {"celeba": rows, "cifar10": 60_000},
    }
    report("prepare", figures, ["numpy", "pillow", "pyarrow"])


if __name__ == "__main__":
    main()
