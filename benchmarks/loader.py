"""The loader against a torch DataLoader (2 workers) that decodes one PNG per image: CIFAR-10, batch 64, images/s.

    GEN_MIRROR=/path/to/mirror python -m benchmarks.loader

Both give the same shuffled, normalised floats. Start-up (until the first batch) is excluded and reported.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.report import report, spread
from gen.data.dataset import open_dataset
from gen.data.fetch import fetch
from gen.data.loader import Loader
from gen.data.prepare import prepare

SECTION = {"source": "cifar10", "validation": 5000}
BATCH = 64
REPEATS = 5
PNG_BATCHES = 150
OWN_BATCHES = 2000


class Pngs(Dataset[tuple[Tensor, int]]):
    """A folder of PNG files, decoded one by one."""

    def __init__(self, paths: list[Path], labels: list[int]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = torch.from_numpy(np.array(Image.open(self.paths[index])))
        return pixels.permute(2, 0, 1).float().div_(127.5).sub_(1), self.labels[index]


def endless(batches: DataLoader[tuple[Tensor, int]]) -> Iterator[list[Tensor]]:
    while True:
        yield from batches


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        fetch("cifar10", SECTION, "cifar10", Path("raw"), mirror=os.environ["GEN_MIRROR"])
        rows = prepare("cifar10", SECTION, "cifar10", Path("raw"), Path("cifar10")).read("train")
        paths = [Path(f"{row}.png") for row in range(len(rows.images))]
        for path, image in zip(paths, rows.images, strict=True):
            Image.fromarray(image.transpose(1, 2, 0)).save(path)

        begin = time.perf_counter()
        loader = Loader(open_dataset(Path("cifar10")), "train", batch_size=BATCH, seed=0)
        loader[0]
        own_start = time.perf_counter() - begin
        pngs = Pngs(paths, rows.labels.tolist())
        begin = time.perf_counter()
        theirs = endless(DataLoader(pngs, BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True))
        next(theirs)
        png_start = time.perf_counter() - begin

        own, png = [], []
        for repeat in range(REPEATS):
            begin = time.perf_counter()
            for index in range(repeat * OWN_BATCHES, (repeat + 1) * OWN_BATCHES):
                loader[index]
            own.append(BATCH * OWN_BATCHES / (time.perf_counter() - begin))
            begin = time.perf_counter()
            for _ in range(PNG_BATCHES):
                next(theirs)
            png.append(BATCH * PNG_BATCHES / (time.perf_counter() - begin))
        os.chdir("/")
    figures = {
        "ratio (wanted: 20)": spread([a / b for a, b in zip(own, png, strict=True)], 1),
        "loader images/s": spread(own, 0),
        "DataLoader images/s": spread(png, 0),
        "start-up seconds": {"loader": round(own_start, 3), "DataLoader": round(png_start, 3)},
        "resident": loader.resident,
    }
    report("loader", figures, ["torch", "numpy", "pillow", "pyarrow"])


if __name__ == "__main__":
    main()
