"""Where a run comes from, out of files that are not as DVC leaves them."""

from pathlib import Path

import pytest

from pipelines.tracking.provenance import provenance

SOUND = "stages:\n  prepare@ring8:\n    outs:\n    - path: data/prepared/ring8\n      md5: abc.dir\n"


@pytest.mark.parametrize(
    "lock",
    [
        f"<<<<<<< HEAD\n{SOUND}=======\n{SOUND}>>>>>>> other\n",
        "- 1\n",
        "stages: 5\n",
        "stages: {a: {outs: [{path: data/prepared/ring8}]}}\n",
        "[" * 100_000,
    ],
)
def test_a_lock_file_that_is_not_whole_costs_a_tag_and_no_run(
    lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("data/prepared/ring8")
    Path("dvc.lock").write_text(lock)
    assert provenance("cpu", folder)["dvc_data_hash"] == "unknown"
    Path("dvc.lock").write_text(SOUND)
    assert provenance("cpu", folder)["dvc_data_hash"] == "abc.dir"
