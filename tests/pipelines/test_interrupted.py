"""The stage train@<run>, ended by whatever ends it: kills, requests to stop, a Ray that is lost. And how it goes on."""

import hashlib
import json
import re
import signal
import time
from contextlib import suppress

import psutil
import pytest
import ray
from ray.exceptions import GetTimeoutError

from pipelines.runtime import mailbox
from pipelines.runtime.mailbox import Event, Metrics
from pipelines.runtime.worker import MailboxCallback
from tests.pipelines.conftest import Workplace, cmdline, ring_run, training_workers
from tests.pipelines.training import saved, tracked, wait_for_checkpoint, weights

LONG = 4000
"""Steps of a run that is long enough to be killed three times on its way: some seconds."""


@pytest.mark.slow
def test_killed_stopped_and_bereft_of_its_worker_it_ends_at_the_same_bits(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=LONG))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.kill()
    process.communicate()
    assert not (workplace.folder / "models").exists()
    reached = max(saved(workplace.folder))
    (storage,) = workplace.folder.glob("storage/ring-*")
    (storage / "step_00003999").mkdir()  # as a save leaves it that was cut short
    (storage / "step_00003999" / "state.pt.partial").touch()

    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"ring: goes on from step {int(reached.removeprefix('step_'))}/{LONG}\n" in out
    assert "start it again to go on" in out
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["KILLED"]

    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    workers = training_workers()
    assert workers
    for worker in workers:
        worker.kill()
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert [line for line in out.splitlines() if not re.match("ring: (step|goes on)", line)] == [
        "ring: its process was killed; it goes on from the newest checkpoint, tried 1 more time at most"
    ]
    assert err.count("\n") == 2, err  # of MLflow's registry
    first = weights(workplace.folder)
    store, runs = tracked(workplace.folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    steps = [metric.step for metric in store.get_metric_history(runs[0].info.run_id, "loss/generator")]
    assert steps == list(range(50, LONG + 1, 50))
    grids = sorted(path.name for path in (workplace.folder / "models" / "toys" / "ring" / "grids").iterdir())
    assert grids == [f"samples-{step:08d}.webp" for step in range(0, LONG + 1, 1000)]

    written = {path: path.stat().st_mtime_ns for path in workplace.folder.glob("storage/ring-*/step_*/state.pt")}
    again = workplace.run("train", "ring")  # finished, but perhaps not taken over by DVC: exported again
    assert again.returncode == 0, again.stderr
    assert weights(workplace.folder) == first
    assert {path: path.stat().st_mtime_ns for path in written} == written, "nothing is trained"
    store, runs = tracked(workplace.folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert len(store.search_model_versions("name = 'ring'")) == 1, "the same weights are no new version"


@pytest.mark.slow
def test_a_worker_that_hangs_is_not_waited_for_longer_than_a_minute(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=100_000))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    (worker,) = training_workers()
    worker.suspend()
    before = saved(workplace.folder)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 143, err
    assert "ring: waiting for its workers to save, for 60 s at most" in out
    assert "stopped without an answer of its workers for 60 s; what was saved before is kept; start it again" in out
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["KILLED"]
    assert before <= saved(workplace.folder)
    end = time.monotonic() + 60
    while worker.is_running():
        assert time.monotonic() < end, "it still runs"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_the_death_of_its_own_ray_is_one_line(part: str, workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=100_000))
    workplace.environment.pop("RAY_ADDRESS")
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    (dying,) = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == part]
    dying.kill()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "goes on" not in out
    assert f"error: ring: Ray is gone (its {part} has ended); start it again to go on from what was saved" in err
    assert [run.info.status for run in tracked(workplace.folder)[1]] == ["FAILED"]


@pytest.mark.slow
def test_sigterm_to_the_whole_group_ends_run_and_record(workplace: Workplace) -> None:
    """A Ray of its own, whose processes end first."""
    workplace.write(ring=ring_run(steps=100_000))
    workplace.environment.pop("RAY_ADDRESS")
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    below = psutil.Process(process.pid).children(recursive=True)
    for one in (*below, psutil.Process(process.pid)):
        with suppress(psutil.Error):
            one.terminate()
    out, err = process.communicate(timeout=150)
    assert process.returncode in (1, 143), (out, err)
    assert "Traceback" not in err
    assert [run.info.status for run in tracked(workplace.folder)[1]] != ["RUNNING"]


@pytest.mark.slow
def test_each_seed_is_a_training_and_a_kill_in_the_second_leaves_the_first(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=400) | {"seeds": 2})
    process = workplace.start("train", "ring")
    while not list(workplace.folder.glob("storage/ring-seed4-*/step_*/manifest.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    before = weights(workplace.folder)
    (first,) = workplace.folder.glob("storage/ring-[!s]*/step_00000400/state.pt")
    written = first.stat().st_mtime_ns

    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == written, "what was trained is not trained again"
    assert weights(workplace.folder) == before
    second = workplace.folder / "models" / "toys" / "ring" / "seeds" / "4"
    assert hashlib.sha256((second / "weights.safetensors").read_bytes()).hexdigest() != before
    assert json.loads((second / "model.json").read_text())["run"] == "ring-seed4"
    assert json.loads((second.parent / "seeds.json").read_text()) == [3, 4]
    assert len(list((second / "grids").iterdir())) == 2
    runs = {run.info.run_name: run for run in tracked(workplace.folder)[1]}
    assert len(tracked(workplace.folder)[1]) == 2
    assert {name: run.data.tags["seed"] for name, run in runs.items()} == {"ring": "3", "ring-seed4": "4"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.usefixtures("cluster")
def test_a_request_to_stop_reaches_a_run_that_is_faster_than_its_mailbox() -> None:
    class SlowMailbox:
        def put(self, event: Event) -> bool:
            time.sleep(0.2)
            return True

    slow = ray.remote(num_cpus=0)(SlowMailbox).remote()
    ray.get(slow.put.remote(Metrics(0, {})))  # its process is up: the run's five seconds are not for that
    callback = MailboxCallback(slow)
    for step in range(1, 101):
        callback.metrics(step, {})
        time.sleep(0.05)
        if callback.stop():
            break
    assert callback.asked_to_stop


@pytest.mark.usefixtures("cluster")
def test_a_mailbox_that_hangs_is_waited_for_longer_as_long_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "SILENT_SECONDS", 1.0)
    before = {process.pid for process in mailboxes()}
    started = mailbox.Mailbox()
    while started.patience > 1:
        assert started.take(1.0) == []
    (process,) = [one for one in mailboxes() if one.pid not in before]
    process.suspend()
    with pytest.raises(GetTimeoutError, match="no answer for 1 s"):
        started.take(5.0)
    process.kill()
    monkeypatch.setattr(mailbox, "BEGIN_SECONDS", 0.0)
    with pytest.raises(GetTimeoutError, match="no answer for 0 s"):
        mailbox.Mailbox().take(0.001)


def mailboxes() -> list[psutil.Process]:
    """Processes of the Ray of these tests."""
    return [one for one in psutil.Process().children(recursive=True) if "ray::_Mailbox" in " ".join(cmdline(one))]


@pytest.mark.slow
def test_an_edited_hyperparameter_starts_anew(workplace: Workplace) -> None:
    workplace.write(ring=ring_run(steps=LONG))
    process = workplace.start("train", "ring")
    wait_for_checkpoint(workplace.folder, process)
    process.kill()
    process.communicate()
    workplace.write(ring=ring_run(steps=400, lr=1e-3))
    done = workplace.run("train", "ring")
    assert done.returncode == 0, done.stderr
    _, runs = tracked(workplace.folder)
    assert {run.info.status: run.data.params["model.lr"] for run in runs} == {"FINISHED": "0.001", "KILLED": "0.0002"}
