"""gen sync: what MLflow could not be told is sent now."""

from gen.errors import InputError
from pipelines.runtime.above import home
from pipelines.tracking import unsent
from pipelines.tracking.interrupted import end_interrupted
from pipelines.tracking.store import connect, in_short, peer


def main() -> None:
    """Send all that is kept in tracking/unsent, and mark killed runs as interrupted.

    Raises:
        InputError: MLflow does not take it; what was not sent yet stays.
    """
    others = {entry.store for entry in unsent.kept()} - {entry.store for entry in unsent.waiting()}
    try:
        unsent.send_waiting(lambda name: print(f"sent {name}", flush=True))
        ended = end_interrupted(connect(), home())
    except Exception as error:  # MLflow's, the network's or the database's
        left = len(unsent.waiting())
        raise InputError(f"{peer()}: {in_short(error)}; {left} of {unsent.FOLDER} wait for it") from None
    for name in ended:
        print(f"{name}: its process has ended without a word; it is interrupted now, and goes on when started again")
    for store in sorted(others):
        print(f"some of {unsent.FOLDER} is for MLflow at {store}; let MLFLOW_TRACKING_URI name it, and sync again")
    print(f"{peer()} has everything that was kept for it")
