"""Kills a prepare at each of its file-system steps in turn (a program of its own: each attempt is a fork of it).

Prints the number of steps; fails when an output looks whole and is not, or differs after the next run.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from gen.data.dataset import open_dataset
from gen.data.prepare import prepare
from gen.data.source import load_source

SECTION = {"source": "points", "shape": "ring8", "rows": 500, "validation": 100, "test": 100, "seed": 0}
OLDER = SECTION | {"test": 90}
STEPS = ("open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "shutil.rmtree")


def make(section: dict[str, object], out: str = "data/prepared/toy") -> None:
    prepare("toy", section, "toy", Path("data/raw/toy"), Path(out))


def fork(work: Callable[[], None]) -> int:
    """Exit status of `work` in a fork: 0, or -9 when it was killed."""
    if (child := os.fork()) == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int) -> None:
    """Prepare, and die before the given step below data/prepared."""
    left = step

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS and "data/prepared" in str(args[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(watch)
    make(SECTION)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main() -> None:
    load_source("points")  # imported once, not in each fork
    out = Path("data/prepared/toy")
    assert fork(lambda: make(SECTION, "expected")) == 0
    expected = contents(Path("expected"))
    step = 0
    while True:
        shutil.rmtree(out.parent, ignore_errors=True)
        if sys.argv[1] == "an older one":
            assert fork(lambda: make(OLDER)) == 0
        if fork(lambda step=step: killed_at(step)) == 0:  # type: ignore[misc]
            break
        if out.exists():
            dataset = open_dataset(out)
            assert [len(dataset.read(split).labels) for split in dataset.rows] == list(dataset.rows.values())
        assert fork(lambda: make(SECTION)) == 0
        assert contents(out) == expected, step
        assert [path.name for path in out.parent.iterdir()] == ["toy"], step
        step += 1
    print(step)


if __name__ == "__main__":
    main()
