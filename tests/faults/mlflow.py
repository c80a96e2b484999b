"""Faults of an MLflow server: a real one, and a proxy before it that answers otherwise."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.faults.matrix import fault
from tests.faults.place import Place
from tests.pipelines.mlflow_server import free_port, server
from tests.training.faulty_s3 import FaultyS3, faulty


class Served(Place):
    """Tracked by a server."""

    @contextmanager
    def behind(self) -> Iterator[FaultyS3]:
        """A server behind a proxy, whose address runs are told."""
        port = free_port()
        with server(self.folder, port), faulty(port) as proxy:
            self.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{proxy.server_port}"
            yield proxy
            self.kept = self.record_of_server()

    def record_of_server(self) -> tuple[list[str], list[int]]:
        return super().record()

    def record(self) -> tuple[list[str], list[int]]:
        return self.kept


def answering(place: Served, kind: str) -> str:
    """The server answers so for some seconds."""
    with place.behind() as proxy:
        process = place.train()
        place.moment(process)
        place.hurt()
        proxy.fault = lambda method, path: kind
        place.pause(2.0, 6.0)
        proxy.fault = lambda method, path: ""
        place.ends(process, 0)
        return "the training is not disturbed; what was logged arrives later"


@fault("MLflow's server answers 500 for 2 to 6 s", Served, trials=2)
def error(place: Served) -> str:
    return answering(place, "500")


@fault("MLflow's server answers 403 for 2 to 6 s", Served, trials=2)
def forbidden(place: Served) -> str:
    return answering(place, "403")


@fault("a page of HTML in place of MLflow's answers for 2 to 6 s", Served, trials=2)
def page(place: Served) -> str:
    return answering(place, "200")


@fault("MLflow's server takes 1 s for each answer for 2 to 6 s", Served, trials=2)
def slow(place: Served) -> str:
    return answering(place, "slow")


@fault("MLflow's server killed in the middle of a training, and started again", Served, trials=2)
def restarted(place: Served) -> str:
    port = free_port()
    place.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    with ExitStack() as first:
        first.enter_context(server(place.folder, port))
        process = place.train()
        place.moment(process)
        place.hurt()
    place.pause(0.0, 3.0)
    with server(place.folder, port):
        place.ends(process, 0)
        place.kept = place.record_of_server()
    return "the training is not disturbed; what was logged arrives later"


@fault("MLflow's server down from the start, up when the command is given again", Served, trials=1)
def down(place: Served) -> str:
    port = free_port()
    place.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    place.hurt()
    process = place.train()
    place.ends(process, 0)
    with server(place.folder, port):
        place.ends(place.start(*place.words), 0)
        place.kept = place.record_of_server()
    return "trains without it, and says so; the same command adds all of it"
