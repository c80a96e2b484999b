"""What counts as a checkpoint, which one is continued from, and when a run starts anew."""

import io
import json
import multiprocessing
import resource
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from gen.errors import InputError
from gen.training.checkpoint import Checkpoints
from gen.training.storage import Unreadable


def state(step: int) -> dict[str, Any]:
    return {"steps_done": step, "weight": torch.full((10,), float(step)), "best": (4, 0.5)}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(str(tmp_path), "run", "ab" * 32)


def save(checkpoints: Checkpoints, *steps: int, keep: int = 9, best: int | None = None) -> None:
    for step in steps:
        checkpoints.save(step, state(step), keep, best)


def newest(checkpoints: Checkpoints) -> int | None:
    found = checkpoints.newest()
    return None if found is None else found["steps_done"]


def file(checkpoints: Checkpoints, name: str) -> Path:
    return Path(checkpoints.root) / name


def test_state_comes_back(checkpoints: Checkpoints) -> None:
    save(checkpoints, 4, 8)
    found = checkpoints.newest()
    assert found is not None
    assert found["best"] == (4, 0.5)
    assert torch.equal(found["weight"], state(8)["weight"])


@pytest.mark.parametrize("name", ["state.pt", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "delete"])
def test_a_damaged_newest_one_is_passed_over(checkpoints: Checkpoints, name: str, damage: str) -> None:
    save(checkpoints, 4, 8)
    path = file(checkpoints, f"step_00000008/{name}")
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    damaged = {"truncate": content[:-7], "flip": flipped, "empty": b""}
    path.unlink() if damage == "delete" else path.write_bytes(damaged[damage])
    assert newest(checkpoints) == 4
    save(checkpoints, 8)
    assert newest(checkpoints) == 8


@pytest.mark.parametrize("name", ["step_00000008/state.pt", "step_00000008/manifest.json", "run.json"])
@pytest.mark.parametrize("obstacle", ["a folder", "a link to itself"])
def test_what_cannot_be_read_is_not_taken_for_damaged_and_nothing_is_deleted(
    checkpoints: Checkpoints, name: str, obstacle: str
) -> None:
    checkpoints.begin(12, fresh=False)
    save(checkpoints, 4, 8)
    path = file(checkpoints, name)
    whole = path.rename(path.with_name("aside"))
    path.mkdir() if obstacle == "a folder" else path.symlink_to(path)
    there = set(Path(checkpoints.root).rglob("*"))

    def resume() -> None:
        checkpoints.begin(12, fresh=False)
        checkpoints.newest()

    with pytest.raises(Unreadable, match=f"^cluster.storage: {path}: cannot be read .*nothing was deleted") as raised:
        resume()
    assert "\n" not in str(raised.value)
    assert set(Path(checkpoints.root).rglob("*")) == there
    path.rmdir() if obstacle == "a folder" else path.unlink()
    whole.rename(path)
    assert checkpoints.begin(12, fresh=False).continued
    assert newest(checkpoints) == 8


def test_without_its_note_and_beside_a_stray_folder_a_run_goes_on(checkpoints: Checkpoints) -> None:
    checkpoints.begin(12, fresh=False)
    save(checkpoints, 4, 8)
    file(checkpoints, "run.json").unlink()
    for stray in ("step_00000099", "step_abc"):
        file(checkpoints, stray).mkdir()
    assert checkpoints.begin(12, fresh=False).continued
    assert newest(checkpoints) == 8


@pytest.mark.parametrize("content", [b"no file of torch", {"weight": torch.zeros(2)}, [1], {"steps_done": 7}])
def test_a_checkpoint_that_verifies_and_holds_something_else_is_one_line(
    checkpoints: Checkpoints, content: Any
) -> None:
    save(checkpoints, 4)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    blob = content if isinstance(content, bytes) else buffer.getvalue()
    checkpoints.put("step_00000008/state.pt", blob)
    checkpoints.put("step_00000008/manifest.json", json.dumps(checkpoints._manifest(8, blob)).encode())
    with pytest.raises(InputError, match=r"step_00000008: whole, but no checkpoint of this run") as raised:
        checkpoints.newest()
    assert "\n" not in str(raised.value)
    assert checkpoints.steps() == [4, 8]
    shutil.move(file(checkpoints, "step_00000008"), file(checkpoints, "aside"))  # as it advises
    assert newest(checkpoints) == 4


@pytest.mark.parametrize(
    "note",
    ['{"attempt": "a", "ended": 8}', '{"attempt": 5}', '{"ended": "x", "outcome": "finished"}', "[" * 100_000],
)
def test_a_note_that_nobody_writes_costs_no_checkpoint(checkpoints: Checkpoints, note: str) -> None:
    checkpoints.begin(8, fresh=False)
    save(checkpoints, 4, 8)
    file(checkpoints, "run.json").write_text(note)
    assert checkpoints.outcome() is None
    assert checkpoints.begin(8, fresh=False, scoring="fid").continued
    assert newest(checkpoints) == 8


def test_the_last_and_the_best_are_kept(checkpoints: Checkpoints) -> None:
    save(checkpoints, 1, 2, 3, 4, 5, keep=2, best=2)
    assert checkpoints.steps() == [2, 4, 5]
    save(checkpoints, 6, keep=2, best=6)
    assert checkpoints.steps() == [5, 6]


def test_another_identity_shares_nothing(checkpoints: Checkpoints, tmp_path: Path) -> None:
    save(checkpoints, 4)
    assert newest(Checkpoints(str(tmp_path), "run", "cd" * 32)) is None
    manifest = file(checkpoints, "step_00000004/manifest.json")
    manifest.write_text(manifest.read_text().replace("ab" * 32, "cd" * 32))
    assert newest(checkpoints) is None


def test_only_an_unfinished_run_goes_on(checkpoints: Checkpoints) -> None:
    first = checkpoints.begin(8, fresh=False)
    assert not first.continued
    save(checkpoints, 4)
    assert checkpoints.begin(8, fresh=False) == (first.attempt, True)
    assert newest(checkpoints) == 4
    forced = checkpoints.begin(8, fresh=True)
    assert not forced.continued
    assert forced.attempt != first.attempt
    assert newest(checkpoints) is None


def test_a_finished_run_starts_anew_unless_it_is_to_go_further(checkpoints: Checkpoints) -> None:
    first = checkpoints.begin(8, fresh=False)
    save(checkpoints, 4, 8)
    checkpoints.end(8, "finished")
    assert checkpoints.begin(12, fresh=False) == (first.attempt, True)
    save(checkpoints, 12)
    checkpoints.end(12, "finished")
    again = checkpoints.begin(12, fresh=False)
    assert not again.continued
    assert newest(checkpoints) is None


def test_a_finished_run_whose_checkpoints_are_scored_alike_is_exported_again(checkpoints: Checkpoints) -> None:
    first = checkpoints.begin(8, fresh=False, scoring="fid")
    save(checkpoints, 8)
    checkpoints.end(8, "finished", "fid")
    assert checkpoints.begin(8, fresh=False, scoring="fid") == (first.attempt, True)
    checkpoints.end(8, "finished", "fid")
    assert not checkpoints.begin(8, fresh=False, scoring="kid").continued
    assert newest(checkpoints) is None


def test_a_run_past_its_new_end_or_diverged_starts_anew(checkpoints: Checkpoints) -> None:
    checkpoints.begin(8, fresh=False)
    save(checkpoints, 8)
    assert not checkpoints.begin(6, fresh=False).continued
    save(checkpoints, 4)
    checkpoints.end(4, "diverged")
    assert not checkpoints.begin(8, fresh=False).continued


def test_a_damaged_note_costs_no_checkpoint(checkpoints: Checkpoints) -> None:
    first = checkpoints.begin(8, fresh=False)
    save(checkpoints, 4)
    file(checkpoints, "run.json").write_text('{"attempt"')
    again = checkpoints.begin(8, fresh=False)
    assert again.continued
    assert again.attempt != first.attempt
    assert newest(checkpoints) == 4
    assert checkpoints.begin(8, fresh=False) == again


def test_code_in_a_checkpoint_does_not_run(checkpoints: Checkpoints, tmp_path: Path) -> None:
    class Doctored:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    checkpoints.save(4, {"weight": Doctored()}, 1, None)
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        checkpoints.newest()
    assert not (tmp_path / "ran").exists()


def fill_up(storage: str) -> None:
    checkpoints = Checkpoints(storage, "run", "ab" * 32)
    save(checkpoints, 4)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # a disk with 4 KiB left
    try:
        checkpoints.save(8, {"weight": torch.zeros(10_000)}, 9, None)
    except InputError as error:
        Path(storage, "message").write_text(str(error))


def test_a_full_disk_leaves_the_one_before(checkpoints: Checkpoints, tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(target=fill_up, args=(str(tmp_path),))
    process.start()
    process.join()
    message = (tmp_path / "message").read_text()
    assert "cannot save step 8" in message
    assert "cluster.storage" in message
    assert newest(checkpoints) == 4


def test_too_small_a_disk_is_noticed_at_the_start(checkpoints: Checkpoints) -> None:
    checkpoints.check_space({"weight": torch.zeros(10)}, keep=2)
    with pytest.raises(InputError, match=r"need about 640.0 TB, [\d.]+ [kMGT]?B are free"):
        checkpoints.check_space({"weight": torch.zeros(1).expand(10**13)}, keep=2)


def test_storage_of_a_kind_that_is_not_known() -> None:
    with pytest.raises(InputError, match=r"cluster.storage: foo://x: .*; give a folder, or a URL"):
        Checkpoints("foo://x", "run", "ab" * 32)


def test_storage_by_url(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path.as_uri(), "run", "ab" * 32)
    checkpoints.begin(8, fresh=False)
    save(checkpoints, 4)
    assert newest(Checkpoints(str(tmp_path), "run", "ab" * 32)) == 4
    assert json.loads((tmp_path / f"run-{'ab' * 8}" / "run.json").read_text()).keys() == {"attempt"}


class NotNow(BaseHTTPRequestHandler):
    """An object store in an outage: it has no object, and takes none."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(404 if self.command in ("GET", "HEAD") and "list-type" not in self.path else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *message: object) -> None:
        """Nothing: a test that fails says why."""


def test_an_outage_of_an_object_store_may_pass_and_is_named() -> None:
    store = ThreadingHTTPServer(("127.0.0.1", 0), NotNow)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    options = f"endpoint_override=127.0.0.1:{store.server_port}&scheme=http&region=nowhere&allow_bucket_creation=true"
    checkpoints = Checkpoints(f"s3://key:secret@bucket/storage?{options}", "run", "ab" * 32)
    with pytest.raises(Unreadable, match=r"^cluster.storage: bucket/storage/run-\w+: cannot be read") as raised:
        checkpoints.save(4, {"weight": torch.zeros(1)}, 1, None)
    assert raised.value.errno is None
    store.shutdown()
    store.server_close()
