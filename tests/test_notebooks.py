"""The notebooks of docs, executed."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other people's kernels
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_did(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tmp_path / "kernels" / "tests"  # this Python's, whatever kernels people have installed
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "tests", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    kept = nbformat.read(notebook, as_version=4)
    again = nbformat.read(notebook, as_version=4)
    NotebookClient(again, timeout=240, kernel_name="tests").execute()
    for before, after in zip(kept.cells, again.cells, strict=True):
        assert kinds(before) == kinds(after), before.source


def kinds(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell shows: text that is no number of a machine's is the same, a picture is one."""
    shown = []
    for one in cell.get("outputs", []):
        shown.append(one.get("text", "") if "label" in one.get("text", "") else one.output_type)
        shown += sorted(one.get("data", {}))
    return shown
