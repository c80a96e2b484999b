"""MLflow's pages on localhost: the addresses that show each group's runs by their scores, and a sweep's trials.

MLflow keeps the order, the columns and the charts of its runs page outside the address: in a tag of the experiment that
the address names (`viewStateShareKey`; its own Share button writes the same). So the views are written there first; who
may not write them gets an address that only orders. What nothing can preselect are the metrics of the page
`compare-runs`: runs are compared in the charts of the runs page instead.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

from gen.config.extractors import ROUNDED
from gen.errors import InputError
from gen.secrets import masked
from pipelines.reports.lead import ranked_by
from pipelines.runtime.above import home
from pipelines.tracking.interrupted import end_interrupted
from pipelines.tracking.names import BESIDE, LOSS, VALIDATION, now, of_test
from pipelines.tracking.store import connect, embedded, tracking_uri
from pipelines.tracking.stored import Group, colour_runs, groups, share_view, sweep_trials
from pipelines.tracking.unsent import send_waiting

HOST = "127.0.0.1"
RUNS = "experiments/{}/runs?workflowType=machine_learning"
COMPARED = ("mode_variation", "fid_", "kid_", "precision", "recall")
"""Metrics that have a column and a chart, in this order."""
COLUMNS = ("sd_trainings", "floor")
"""What else of a metric has a column: its spread over trainings, and its value for real data."""
SECTIONS = {"Validation": VALIDATION, "Losses": LOSS, "Gradient norms": "gradient_norm/"}
"""Below the scores, charts of what is recorded while training."""
OF_SWEEP = ("best/optimistic_mean", "best/test_mean", "floor_mean")
"""What a sweep as a whole has, in columns behind the best of each trial."""
MOST_COMPARED = 30
"""Runs in the charts: a view has to fit into one tag."""


def main(port: int) -> None:
    """Serve the embedded database until Ctrl-C; for a server of your own, print its addresses."""
    if embedded():
        check_free(port)
        with served(port) as server:
            show(f"http://{HOST}:{port}")
            server.wait()
    else:
        show(masked(tracking_uri()))


def show(base: str) -> None:
    """Print the addresses of all pages."""
    found = pages()
    for name, page in found.items():
        print(f"{name}: {base}/#/{page}", flush=True)
    if not found:
        print("no runs yet: make demo", flush=True)


def pages() -> dict[str, str]:
    """By its name, the page of a group's or a sweep's runs, and the one that compares the newest of them."""
    store = connect()
    with suppress(Exception):  # who may only look sees what is there
        send_waiting()
        end_interrupted(store, home())
    found: dict[str, str] = {}
    for group in groups(store):
        address = RUNS.format(group.experiment)
        rank, metrics = scores(group.metrics)
        if group.decides in group.metrics:
            rank, metrics = group.decides, [group.decides, *OF_SWEEP]
        if not rank:
            found[group.name] = f"{address}&compareRunsMode=CHART"
        elif share_view(store, group.experiment, "gen-table", table_view(rank, metrics, group)):
            found[group.name] = f"{address}&viewStateShareKey=gen-table"
        else:
            found[group.name] = f"{address}&{urlencode(order(rank, group.small))}"
        if trials := sweep_trials(group.experiment):
            asked = {"runs": json.dumps(trials), "experiments": json.dumps([group.experiment])}
            found[f"{group.name}, compared"] = f"compare-runs?{urlencode(asked, quote_via=quote)}"
        elif rank:
            newest = group.newest(rank)[:MOST_COMPARED]
            colour_runs(store, [*newest, *group.others(newest)][:MOST_COMPARED])
            curves = sorted({metric for run in newest for metric in run.metrics})
            view = charts_view(rank, metrics, curves, [run.run_id for run in newest])
            if share_view(store, group.experiment, "gen-compare", view):
                found[f"{group.name}, compared"] = f"{address}&compareRunsMode=CHART&viewStateShareKey=gen-compare"
    return found


def scores(measured: Sequence[str]) -> tuple[str, list[str]]:
    """The metric that ranks runs, "" without one, and those shown beside it.

    They are of the test split, by the names of older versions where there are no others; while no run is evaluated,
    of validation.
    """
    scored = {name.removeprefix(VALIDATION) for name in measured if name.startswith(VALIDATION)}
    for part in (of_test(""), "", VALIDATION):
        names = [name.removeprefix(part) for name in measured if name.startswith(part)]
        plain = [name for name in names if "/" not in name and not name.endswith(BESIDE)]
        plain.sort(key=lambda name: not scored & {name, name + ROUNDED})  # the first extractor's, which scores training
        if rank := ranked_by(plain):
            shown = [name for start in COMPARED for name in plain if name.startswith(start) and "subset" not in name]
            return part + rank, [part + name for name in dict.fromkeys([rank, *shown])]
    return "", []


def order(rank: str, small: bool) -> dict[str, str]:
    """The best first; as MLflow names it."""
    return {"orderByKey": column(rank), "orderByAsc": json.dumps(small)}


def column(metric: str) -> str:
    """As MLflow names it."""
    return f"metrics.`{metric}`"


def table_view(rank: str, metrics: Sequence[str], group: Group) -> dict[str, Any]:
    """The runs page as a table, the best run first, with a column for each metric and for what belongs to it.

    Metrics that some run has by an older version's name have columns of that name, too.
    """
    wanted = [one for name in metrics for one in (name, *(of_test(bare(name), more) for more in COLUMNS))]
    columns = [one for name in wanted for one in group.metrics if name in (one, now(one))]
    return {
        "orderByKey": column(rank),
        "orderByAsc": group.small,
        "selectedColumns": [column(name) for name in dict.fromkeys(columns)],
    }


def bare(metric: str) -> str:
    """Without its group."""
    return metric.rpartition("/")[2]


def charts_view(rank: str, metrics: Sequence[str], curves: Sequence[str], runs: Sequence[str]) -> dict[str, Any]:
    """The runs page as charts of these runs: a bar for each metric, then the curves, above MLflow's own sections."""
    charts = [chart("Scores", metric, {"type": "BAR"}) for metric in metrics]
    line = {"type": "LINE", "xAxisKey": "step"}
    charts += [chart(name, one, line) for name, part in SECTIONS.items() for one in curves if one.startswith(part)]
    sections = [
        {"uuid": name, "name": name, "display": True, "isReordered": False, "deleted": False}
        for name in dict.fromkeys(one["metricSectionId"] for one in charts)
    ]
    return {
        "orderByKey": column(rank),
        "orderByAsc": True,
        "searchFilter": f"attributes.run_id IN ({','.join(repr(run) for run in runs)})",
        "selectedColumns": [column(rank)],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }


def chart(section: str, metric: str, kind: Mapping[str, str]) -> dict[str, Any]:
    """One chart, as MLflow keeps it."""
    return {
        "uuid": metric,
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": section,
        "runsCountToCompare": MOST_COMPARED,
        "deleted": False,
        "isGenerated": False,
        **kind,
    }


def check_free(port: int) -> None:
    """Raises InputError when another process has the port: its page would show other runs, or nothing."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: one that has just ended is gone
        try:
            one.bind((HOST, port))
        except (OSError, OverflowError) as error:
            message = getattr(error, "strerror", None) or error
            raise InputError(f"port {port}: {message}; choose another: make ui PORT=5001") from None


@contextmanager
def served(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The embedded database, once it is served: what the server says of itself is above what is printed then.

    What serves it ends with the block.
    """
    mlflow = ["mlflow", "server", "--backend-store-uri", tracking_uri(), "--host", HOST, "--port", str(port)]
    allowed = f"localhost,{HOST},localhost:{port},{HOST}:{port}"
    connect()  # makes it, if there is none
    server = subprocess.Popen([sys.executable, "-m", *mlflow, "--allowed-hosts", allowed, "--workers", "1"])
    try:
        while server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.2)
        yield server
    finally:
        server.terminate()
        server.wait()
