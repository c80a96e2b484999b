"""Faults of the processes that train."""

import signal

import psutil

from tests.faults.matrix import fault
from tests.faults.place import PATIENCE_SECONDS, Failed, Place


class TwoWorkers(Place):
    """A run whose batches two workers share."""

    workers = 2


@fault("kill -9 of the worker before its first checkpoint")
def killed_before(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.pause(0.0, 0.5)
    place.hurt()
    worker.kill()
    return place.goes_on(process)


@fault("kill -9 of the worker while it writes a checkpoint")
def killed_during(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    while True:
        (folder,) = place.folder.glob("storage/ring-*")
        begun = list(folder.glob("step_*"))
        if any(not (one / "manifest.json").exists() for one in begun):
            worker.suspend()
            if any(one.exists() and not (one / "manifest.json").exists() for one in begun):
                break
            worker.resume()
        if process.poll() is not None:
            raise Failed("no such moment was met")
    place.hurt()
    worker.kill()
    return place.goes_on(process)


@fault("kill -9 of the worker right after a checkpoint")
def killed_after(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    before = place.reached()
    place.wait(lambda: place.reached() > before, process)
    place.hurt()
    worker.kill()
    return place.goes_on(process)


@fault("kill -9 of one of two workers", TwoWorkers, trials=2)
def killed_one_of_two(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    place.hurt()
    worker.kill()
    place.ends(process, 0)
    return "goes on by itself"


@fault("segmentation fault in the worker")
def crashed(place: Place) -> str:
    return signalled(place, signal.SIGUSR2)


@fault("SIGTERM of the worker")
def terminated(place: Place) -> str:
    return signalled(place, signal.SIGTERM)


@fault("SIGSTOP of the worker for 5 s")
def stopped(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    worker.suspend()
    place.hurt()
    place.pause(5.0, 5.0)
    worker.resume()
    place.ends(process, 0)
    return "goes on unharmed"


@fault("SIGSTOP of the worker for good, then SIGTERM of the driver", trials=2)
def stopped_for_good(place: Place) -> str:
    return hung(place, signal.SIGSTOP)


@fault("the worker hangs and holds the interpreter's lock, then SIGTERM of the driver", trials=2)
def hung_with_the_lock(place: Place) -> str:
    return hung(place, signal.SIGUSR1)


@fault("memory limit of the worker reached")
def out_of_memory(place: Place) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    place.hurt()
    room = worker.memory_info().vms
    worker.rlimit(psutil.RLIMIT_AS, (room, room))
    process.wait(timeout=PATIENCE_SECONDS)
    if process.returncode == 0:
        told = "goes on from the newest checkpoint" in place.ends(process, 0)
        return "goes on by itself, and says so" if told else "the run needs no more, and ends well"
    return place.again(process, 1)


def signalled(place: Place, number: int) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    place.hurt()
    worker.send_signal(number)
    return place.goes_on(process)


def hung(place: Place, number: int) -> str:
    process = place.train()
    worker = place.worker(process)
    place.moment(process)
    worker.send_signal(number)
    place.pause(0.5, 1.0)
    place.hurt()
    process.terminate()
    return place.again(process, 143, what="gives the worker up after 60 s")
