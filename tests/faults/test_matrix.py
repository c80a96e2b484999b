"""The fault matrix, with one of its faults; `make faults` tries them all."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.matrix import Result
from tests.faults.report import PAGE, known, write
from tests.pipelines.conftest import ROOT


def test_new_rows_stand_among_those_of_the_page(tmp_path: Path) -> None:
    page = Path(shutil.copy(PAGE, tmp_path))
    text = page.read_text()
    first = Result("one", 3, Counter({"dies": 1, "goes on": 2}), Counter({"weights differ": 1}), [2.0, 1.0, 4.0])
    write(page, [first, Result("three", 1, Counter(["goes on"]))], ["one", "two", "three"], "first")
    assert known(page)["one"] == "| one | 3 | 1x dies; 2x goes on | 1x weights differ | 2.0 | 4.0 |"
    third = Result("three", 2, Counter(["dies", "dies"]), Counter(), [1.0, 2.0])
    write(page, [Result("two"), third], ["two", "three"], "second")
    assert list(known(page).values())[1:] == [
        "| two | 0 |  | - | - | - |",
        "| three | 2 | dies | nothing | 1.5 | 2.0 |",
    ]
    assert "`second`" in page.read_text()
    assert page.read_text().splitlines()[0] == text.splitlines()[0]
    assert page.read_text().splitlines()[-1] == text.splitlines()[-1]


@pytest.mark.slow
def test_a_fault_is_tried_and_stands_in_the_table(tmp_path: Path) -> None:
    page = Path(shutil.copy(PAGE, tmp_path))
    command = [sys.executable, "-m", "tests.faults", "--only", "worker right after", "--trials", "1", "--page", page]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = "| kill -9 of the worker right after a checkpoint | 1 | goes on by itself, and says so | nothing |"
    assert any(line.startswith(row) for line in page.read_text().splitlines())
