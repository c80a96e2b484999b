"""Faults of the object store that checkpoints are in: a real S3 server, behind a proxy that answers otherwise."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.matrix import fault
from tests.faults.place import Place
from tests.services import BUCKET, KEYS, s3
from tests.training.faulty_s3 import FaultyS3, faulty


class Store(Place):
    """Checkpoints in an object store."""

    newest = 0

    def reached(self) -> int:
        return self.newest

    @contextmanager
    def store(self) -> Iterator[FaultyS3]:
        """The store, before which stands the proxy."""
        (self.folder / "s3").mkdir()
        with s3(self.folder / "s3") as port, faulty(port) as proxy:
            self.environment |= KEYS
            address = f"scheme=http&endpoint_override=127.0.0.1:{proxy.server_port}"
            self.changes["cluster"] = {"storage": f"s3://{BUCKET}/runs?{address}"}
            proxy.fault = self.sound
            yield proxy

    def sound(self, method: str, path: str) -> str:
        found = re.search(r"/step_(\d+)/manifest\.json", path)
        if method in ("PUT", "POST") and found:
            self.newest = max(self.newest, int(found[1]))
        return ""


def falters(place: Store, kind: str) -> str:
    """The store answers so for some seconds."""
    with place.store() as proxy:
        process = place.train()
        place.moment(process)
        place.hurt()
        proxy.fault = lambda method, path: kind if method in ("PUT", "POST", "GET") else ""
        place.pause(1.0, 4.0)
        proxy.fault = place.sound
        place.ends(process, 0)
    return f"waits and goes on ({'over' if proxy.faults > 1 else 'only'} one request failed)"


@fault("object store answers 503 for 1 to 4 s", Store)
def unavailable(place: Store) -> str:
    return falters(place, "503")


@fault("object store drops connections in the middle of uploads for 1 to 4 s", Store)
def dropping(place: Store) -> str:
    return falters(place, "drop")


@fault("object store answers 503 until the command has given up", Store, trials=2)
def gone(place: Store) -> str:
    with place.store() as proxy:
        process = place.train()
        place.moment(process)
        place.hurt()
        proxy.fault = lambda method, path: "503"
        began = time.monotonic()
        place.ends(process, 1)
        waited = time.monotonic() - began
        proxy.fault = place.sound
        place.ends(place.start(*place.words), 0)
    return f"one line says so within {60 * (1 + waited // 60):.0f} s; the same command goes on"
