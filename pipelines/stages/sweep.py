"""Stage sweep@<name>: a run trained at many points of a space, through Ray Tune, into sweeps/<name>.

best.yaml         the best point, how surely it is the best, and the command that adopts it
results.parquet   a row for each evaluation of each trial; results.csv the same
trials.csv        a row for each trial: its point, seed, outcome, steps reached, and the best of its metric
figures/          the metric against what is swept, the best so far against training time, and for several
                  hyperparameters parallel coordinates and importance
metrics.json      the best point's metric as its trials had it and anew, and real images', for `dvc metrics`
"""

import logging
import shutil
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from ray import tune

from gen.config.consistency import trial_run
from gen.config.extractors import scoring_extractor
from gen.config.load import load_params
from gen.config.params import Compute, Params
from gen.config.sweep import OF_MIXTURES, Value, label, validation_scores
from gen.data.dataset import Dataset
from gen.data.folder import lock, whole
from gen.errors import InputError
from gen.evaluation.reference import Reference
from gen.shapes import shapes_only
from gen.training.loop import data_spec
from gen.training.rehearsal import built, rehearse
from pipelines.runtime import above, cluster, stage
from pipelines.runtime.fit import of_ray
from pipelines.runtime.jobs import SCORING, open_inputs, storage_of
from pipelines.runtime.patience import within_a_minute
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.report import check_report, text, write_report
from pipelines.sweeps.search import Search
from pipelines.sweeps.table import Table
from pipelines.sweeps.trial import trial
from pipelines.sweeps.verdict import Winner
from pipelines.sweeps.watch import GivenUp, Halving, Watch
from pipelines.sweeps.winner import floor_of, full_reference, scored_anew
from pipelines.tracking.tracker import Tracker

HOME = Path("sweeps")
REHEARSED = 100
"""Most points of a sweep that make a step before it begins: in a few seconds."""


def extractor_of(metric: str, extractors: Sequence[str]) -> str:
    """The extractor that a sweep's trials are scored by: the one whose distance its metric is, or that of training."""
    told = {
        metric: scoring_extractor(extractor)
        for extractor in extractors
        for metric in validation_scores(extractor)
        if "/fid_" in metric
    }
    return told.get(metric, SCORING)


def run_stage(params: Params, path: Path, name: str, fresh: bool) -> None:
    """Train all trials of the sweep `name` and write what they teach.

    Raises:
        InputError: the sweep, its data or the cluster do not fit, or a trial could not be trained.
    """
    sweep = params.sweep(name)
    HOME.mkdir(exist_ok=True)  # or say now, not after hours, that nothing can be written there
    inputs = open_inputs(sweep.dataset, extractor_of(sweep.metric, params.reference[sweep.dataset].extractors))
    if sweep.metric in OF_MIXTURES and inputs[0].mixture is None:
        message = f"{sweep.dataset} is no mixture of modes; use validation/sliced_wasserstein"
        raise InputError(f"{path}: sweeps.{name}.metric: {sweep.metric}: {message}")
    check_networks(params, name, inputs[0])
    reference = full_reference(*inputs)
    compute = trial_run(params, name, next(sweep.grid()), 0).compute
    with cluster.joined(params.cluster, sweep.concurrency * compute.workers * compute.threads):
        device = cluster.resolve_device(compute)
        peer = f"cluster.storage: {storage_of(params.cluster)}"
        plan = within_a_minute(peer, lambda: Plan(params, name, inputs, device, fresh))
        floor = floor_of(plan, reference)  # before hours of training: what it is of may be damaged
        tracker = Tracker(plan.facts())
        with tracker.ended_whatever_happens():
            table = Table(sweep, params.run(sweep.run).seed)
            watch = Watch(plan, table, tracker, Halving(sweep) if sweep.scheduler == "asha" else None)
            search = Search(sweep, plan.known, plan.configure, plan.without_value, watch.recall)
            watch.search = search

            def end(dead: str) -> None:
                watch.abandon()
                again = "start it again to go on from what was saved"
                why = f"{name}: Ray is gone (its {dead} has ended); {again}"
                print(f"\nerror: {why}", file=sys.stderr, flush=True)
                tracker.end("FAILED", outcome=why)
                tracker.close()

            try:
                with cluster.ended_when_lost(end):
                    fit(plan, compute, search, watch, min(sweep.concurrency, cluster.room(compute, device)))
            except BaseException:
                watch.abandon()
                raise
            finally:
                watch.progress.close()
    with tracker.ended_whatever_happens():
        finish(plan, path, table, tracker, lambda: Winner(floor, anew(plan, reference, table)))


def check_networks(params: Params, name: str, dataset: Dataset) -> None:
    """Every point that is checked has networks for this data. Raises InputError.

    Those with a value that no earlier one has make a step, too.
    """
    seen: set[tuple[str, Value]] = set()
    rehearsed = 0
    for values in params.sweep(name).points_to_check():
        run, where = trial_run(params, name, values, 0), f"sweeps.{name}[{label(values)}]"
        if rehearsed < REHEARSED and not seen.issuperset(values.items()):
            seen |= set(values.items())
            rehearsed += 1
            rehearse(run, dataset, where)
            continue
        try:
            with shapes_only():
                built(run, data_spec(run, dataset))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def fit(plan: Plan, compute: Compute, search: Search, watch: Watch, slots: int) -> None:
    """Have Ray Tune train the trials, so many at once.

    Raises:
        InputError: they have no such metric.
        SystemExit: Ray Tune was ended in the middle.
    """
    alone = {"CPU": float(compute.threads), "GPU": 1.0 if plan.device == "cuda" else 0.0}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what counts of it is said here
    folder = f"{plan.name}-{uuid.uuid4().hex[:8]}"
    tuner = tune.Tuner(
        tune.with_resources(trial, alone if compute.workers == 1 else tune.PlacementGroupFactory([{"memory": 1.0}])),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=watch.halving,
            num_samples=plan.sweep.trials(),
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=lambda one: str(one.trial_id),
            trial_dirname_creator=lambda one: str(one.trial_id),
        ),
        run_config=tune.RunConfig(
            name=folder,
            storage_path=of_ray(plan.storage),
            verbose=0,
            callbacks=[watch],
            stop=GivenUp(watch),
            failure_config=tune.FailureConfig(max_failures=plan.params.cluster.max_failures),
        ),
    )
    try:
        tuner.fit()
    except Exception:  # in the end it reads what it wrote of failed trials, which a full storage has cut short
        if not (watch.problem or watch.table.failed):
            raise
    if watch.problem:
        raise InputError(watch.problem)
    if not search.over or watch.table.done < len(watch.table.records):
        print(f"{plan.name}: ended after {watch.table.done} of its trials; start it again to go on", flush=True)
        raise SystemExit(stage.STOPPED)
    if "://" not in plan.storage:
        shutil.rmtree(Path(plan.storage) / "ray" / folder, ignore_errors=True)  # what counts is in the checkpoints


def finish(plan: Plan, params: Path, table: Table, tracker: Tracker, judge: Callable[[], Winner]) -> None:
    """Write the results, with what `judge` has of the best point, and say which trials could not be trained."""
    out, kept = HOME / plan.name, ""
    if len(table.failed) < len(table.records):
        check_report(plan.name, table)
        verdict = judge()
        with lock(out), whole(out) as partial:
            best = write_report(plan.name, params, table, verdict, partial)
        kept = f"; {out} has what there is"
    if table.failed:
        raise InputError(
            f"{plan.name}: {len(table.failed)} of {len(table.records)} trials failed, the first with: "
            f"{table.failed[0]}; start it again to train what is missing" + kept
        )
    tracker.metrics(plan.sweep.steps, best)
    tracker.files(out)
    tracker.end("FINISHED")
    tracker.close()
    print(text(plan.name, params, table, verdict))
    print(f"figures: {out / 'figures'}")


def anew(plan: Plan, reference: Reference, table: Table) -> list[float]:
    """The metric of the models of the best point, taken once more; nothing where one has none."""
    counted = table.counted(int(table.points()["point"].iloc[0]))
    found = [value for one in counted if (value := scored_anew(plan, reference, one.trial)) is not None]
    return found if len(found) == len(counted) else []


def main(name: str, path: Path, fresh: bool) -> None:
    """Train the sweep `name` of the params file at `path`; `fresh`: all trials anew, as dvc repro -f does."""
    params = load_params(path)
    with stage.alone(f"sweep-{name}", above.home()):
        run_stage(params, path, name, fresh or above.forced())
