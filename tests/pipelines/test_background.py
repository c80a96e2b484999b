"""The thread that MLflow is written in: order, outages, what is dropped and what is waited for."""

import threading
import time

import pytest

from pipelines.runtime import background
from pipelines.runtime.background import Background, Temporary


def test_work_is_done_in_order_and_again_when_it_fails_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.01)
    done: list[int] = []
    failures = iter([True, True, False])

    def sometimes() -> None:
        if next(failures):
            raise Temporary("not yet")
        done.append(1)

    worker = Background()
    worker.put(sometimes)
    worker.put(lambda: done.append(2))
    assert worker.close(5, "MLflow") == ""
    assert done == [1, 2]


def test_what_fails_for_good_is_said_and_the_rest_goes_on() -> None:
    done: list[int] = []
    worker = Background()
    worker.put(lambda: done.append(1 // 0))
    worker.put(lambda: done.append(2))
    assert "division" in worker.close(5, "MLflow")
    assert done == [2]


def test_too_much_is_dropped_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CAPACITY", 3)
    hold = threading.Event()
    done: list[int] = []
    worker = Background()
    start = time.monotonic()
    for _ in range(10):
        worker.put(hold.wait, 5)  # type: ignore[arg-type]
    worker.put(lambda: done.append(1), keep=True)
    assert time.monotonic() - start < 2
    threading.Timer(0.2, hold.set).start()
    assert worker.close(5, "MLflow") == "more than 3 records were waiting"
    assert done == [1], "what is to be kept is never dropped"


def test_an_outage_is_waited_for_less_long_than_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.05)

    def never() -> None:
        raise Temporary("it does not answer")

    done: list[int] = []
    slow, out = Background(), Background()
    slow.put(lambda: time.sleep(0.6))
    out.put(never)
    out.put(lambda: done.append(1))
    time.sleep(0.1)
    assert slow.close(0.2, "MLflow") == ""
    assert out.close(0.2, "MLflow") == "it does not answer"
    out.thread.join(5)
    assert not out.thread.is_alive()
    assert done == [], "what nobody waits for any more is somebody else's"
