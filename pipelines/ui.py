"""MLflow's pages on localhost, with the addresses that open each group's charts and compare each sweep's trials."""

import json
import os
import subprocess
import sys
from urllib.parse import quote

from pipelines import command
from pipelines.store import connect, embedded, sweep_trials, tracking_uri

HOST = "127.0.0.1"


def main() -> None:
    """Serve the embedded database until Ctrl-C; for a server of your own, print its addresses."""
    parser = command.parser("ui", __doc__ or "", "python -m pipelines.ui --port 5001")
    parser.add_argument("--port", type=int, default=5000, help="of the page (default: %(default)s)")
    port = parser.parse_args().port
    base = f"http://{HOST}:{port}" if embedded() else tracking_uri()
    groups = [e for e in connect().search_experiments() if e.name != "Default"]
    for group in groups:
        trials = sweep_trials(group.experiment_id)
        page = (
            f"compare-runs?runs={quote(json.dumps(trials))}&experiments={quote(json.dumps([group.experiment_id]))}"
            if trials
            else f"experiments/{group.experiment_id}/runs?workflowType=machine_learning&compareRunsMode=CHART"
        )
        print(f"{group.name}: {base}/#/{page}")
    if not groups:
        print("no runs yet: make demo")
    if not embedded():
        return
    serve = ["mlflow", "server", "--backend-store-uri", tracking_uri(), "--host", HOST, "--port", str(port)]
    allowed = f"localhost,{HOST},localhost:{port},{HOST}:{port}"
    subprocess.run([sys.executable, "-m", *serve, "--allowed-hosts", allowed], env=os.environ, check=False)


if __name__ == "__main__":
    sys.exit(command.run(main))
