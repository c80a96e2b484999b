"""The page of `gen explore`: one image of 64x64, HTTP and PNG included, of a DCGAN generator of 1024-512-256-128 maps.

    python -m benchmarks.explore

A model with random weights is exported and served by the command itself, on the CPU; this process asks it. Its parts
are timed in this process: the generator as the page calls it for one image, the same through oneDNN, as torch does by
default, and the PNG beside Pillow's smallest. Time of the processor tells of the server alone also where other
programs have the machine busy; of two threads it counts both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import torch
from PIL import Image

from benchmarks.report import report, spread
from gen import export
from gen.families import load_family
from gen.family import DataSpec, ImageShape, Noise
from gen.figures import grid
from gen.figures.grid import to_uint8
from gen.model import load
from pipelines.explore.explored import Explored, onednn, png

IMAGE = ImageShape(3, 64, 64)
SETTINGS = {"latent_dim": 100, "width": 128}
ONE, AT_ONCE, REPEATS = 200, 100, 3
"""Single requests; requests at once, and how often those."""


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """The port of the model in `folder`, once it is served, and what serves it."""
    words = [sys.executable, "-c", "from pipelines.cli import main; main()", "explore", str(folder), "--port", "0"]
    server = subprocess.Popen(
        words, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline().split(" ")[1].rpartition(":")[2]), psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def ask(connection: HTTPConnection, z: list[float]) -> float:
    """Milliseconds of one image."""
    begin = time.perf_counter()
    connection.request("POST", "/picture", json.dumps({"z": [z]}))
    answer = connection.getresponse()
    content = answer.read()
    took = 1000 * (time.perf_counter() - begin)
    if answer.status != 200 or not content.startswith(b"\x89PNG"):
        sys.exit(f"no picture: {answer.status} {content[:200]!r}")
    return took


def at_once(port: int, z: list[list[float]]) -> float:
    """Milliseconds until all are answered, each on a connection of its own."""
    connections = [HTTPConnection("127.0.0.1", port, timeout=300) for _ in z]
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(z)) as pool:
        list(pool.map(ask, connections, z))
    took = 1000 * (time.perf_counter() - begin)
    for connection in connections:
        connection.close()
    return took


def busy(process: psutil.Process) -> float:
    """Milliseconds of processor time that it has taken so far."""
    times = process.cpu_times()
    return 1000 * float(times.user + times.system)


def timed(work: Callable[[], object], repeats: int = 20) -> list[float]:
    """Milliseconds of each call, after two that warm up."""
    taken = []
    for _ in range(repeats + 2):
        begin = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begin))
    return taken[2:]


@torch.inference_mode()
def main() -> None:
    torch.manual_seed(0)
    data = DataSpec(IMAGE)
    with tempfile.TemporaryDirectory() as folder:
        export.save(Path(folder), load_family("dcgan", SETTINGS, data).train(False), "dcgan", SETTINGS, data)
        page = Explored(load(folder))
        z = page.draws("prior", 0, AT_ONCE)
        with served(Path(folder)) as (port, process):
            connection = HTTPConnection("127.0.0.1", port, timeout=300)
            for row in z[:5].tolist():  # warms up
                ask(connection, row)
            begin = busy(process)
            one = [ask(connection, z[i % AT_ONCE].tolist()) for i in range(ONE)]
            processor = (busy(process) - begin) / ONE
            connection.close()
            many = [at_once(port, z.tolist()) for _ in range(REPEATS)]

        def generated(fast: bool) -> Callable[[], object]:
            def work() -> object:
                with onednn(not fast):
                    return page.family.decode(z[:1])

            return work

        pixels = to_uint8(page.family.decode(page.family.prior(Noise(0, rows=1))))[0]
        figures = {
            "one image over HTTP, ms (wanted: 30)": spread(one, 1),
            "the server's processor time for it, ms": round(processor, 1),
            f"{AT_ONCE} requests at once, ms until all are answered": spread(many, 0),
            "parts, ms": {
                "the generator, one image": spread(timed(generated(True)), 1),
                "the same through oneDNN": spread(timed(generated(False)), 1),
                "PNG": spread(timed(lambda: png(pixels)), 2),
                "PNG, Pillow's smallest": spread(timed(lambda: grid.png(Image.fromarray(pixels))), 2),
            },
            "threads": torch.get_num_threads(),
        }
    report("explore", figures, ["torch", "starlette", "uvicorn", "pillow"])


if __name__ == "__main__":
    main()
