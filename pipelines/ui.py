"""MLflow's pages on localhost, with the addresses that open each group's charts and compare each sweep's trials."""

import json
import socket
import subprocess
import sys
from urllib.parse import quote

from gen.errors import InputError
from pipelines import command
from pipelines.store import connect, embedded, sweep_trials, tracking_uri

HOST = "127.0.0.1"


def main() -> None:
    """Serve the embedded database until Ctrl-C; for a server of your own, print its addresses."""
    parser = command.parser("ui", __doc__ or "", "python -m pipelines.ui --port 5001")
    parser.add_argument("--port", type=int, default=5000, help="of the page (default: %(default)s)")
    port = parser.parse_args().port
    if embedded():
        check_free(port)
    base = f"http://{HOST}:{port}" if embedded() else tracking_uri()
    found = pages()
    for name, page in found.items():
        print(f"{name}: {base}/#/{page}")
    if not found:
        print("no runs yet: make demo")
    if embedded():
        serve(port)


def pages() -> dict[str, str]:
    """By its name, the page where a group of runs has its charts, or a sweep its newest trials side by side."""
    groups = {e.name: e.experiment_id for e in connect().search_experiments() if e.name != "Default"}
    return {
        name: f"compare-runs?runs={quote(json.dumps(trials))}&experiments={quote(json.dumps([group]))}"
        if (trials := sweep_trials(group))
        else f"experiments/{group}/runs?workflowType=machine_learning&compareRunsMode=CHART"
        for name, group in groups.items()
    }


def check_free(port: int) -> None:
    """Raises InputError when another process has the port: its page would show other runs, or nothing."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: one that has just ended is gone
        try:
            one.bind((HOST, port))
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise InputError(f"port {port}: {said}; choose another: python -m pipelines.ui --port 5001") from None


def serve(port: int) -> None:
    """Serve the embedded database until this process is told to end, and then end what serves it, too."""
    mlflow = ["mlflow", "server", "--backend-store-uri", tracking_uri(), "--host", HOST, "--port", str(port)]
    allowed = f"localhost,{HOST},localhost:{port},{HOST}:{port}"
    server = subprocess.Popen([sys.executable, "-m", *mlflow, "--allowed-hosts", allowed, "--workers", "1"])
    try:
        server.wait()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(command.run(main))
