"""What a sweep's trials come to: tables, which point is first and how surely, figures; and which points there are."""

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from gen.config.load import load_params
from gen.config.sweep import Axis, Sweep, number
from gen.errors import InputError
from gen.training.score_floor import Floor
from pipelines.reports.tables import mean_sd
from pipelines.sweeps.report import adopt, check_report, text, write_report
from pipelines.sweeps.search import Point, Points, Search, Trial
from pipelines.sweeps.table import Table
from pipelines.sweeps.verdict import Winner, not_told_apart
from tests.pipelines.conftest import ROOT
from tests.pipelines.sweeping import EVERY, STEPS, sweep_of

PARAMS = Path("params.yaml")
ENDED = tuple[float, list[float], str]
"""A trial's clip, evaluations and outcome."""


@pytest.fixture(scope="module", autouse=True)
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with the params file of the sweep's run, which a report reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("params"))
        PARAMS.write_text(yaml.safe_dump({"runs": {"ring": {"model": {"clip": 0.01}}}}))
        yield


def table_of(*ended: ENDED, **changes: object) -> Table:
    """Trials of a sweep over clips; those of the same clip are seeds of one point."""
    clips = list(dict.fromkeys(clip for clip, _, _ in ended))
    table = Table(Sweep.model_validate(sweep_of({"model.clip": {"values": clips}}, **changes)))
    for place, (clip, values, outcome) in enumerate(ended):
        seed = sum(other == clip for other, _, _ in ended[:place])
        table.begin(str(place), Trial(clips.index(clip), {"model.clip": clip}, seed))
        for step, value in enumerate(values, start=1):
            table.add(str(place), step * EVERY, {table.sweep.metric: value, "seconds": float(step)})
        table.records[str(place)].outcome = outcome
    return table


def best_of(table: Table, folder: Path, verdict: Winner | None = None) -> dict[str, object]:
    """best.yaml of these trials."""
    check_report("clip", table)
    write_report("clip", PARAMS, table, verdict or Winner(), folder)
    found: dict[str, object] = yaml.safe_load((folder / "best.yaml").read_text())
    return found


WHOLE = STEPS // EVERY


def test_a_point_that_was_ended_early_is_behind_a_whole_one_and_says_how_far_it_came(tmp_path: Path) -> None:
    early, whole = (0.01, [9.0] * 2, "pruned"), (0.1, [10.0] * WHOLE, "finished")
    table = table_of(early, whole, seeds=1, scheduler="asha", grace_period=EVERY)
    assert best_of(table, tmp_path)["values"] == {"model.clip": 0.1}
    assert "9.00" in (message := text("clip", PARAMS, table, Winner()))
    assert f"1 pruned, after {2 * EVERY} of {STEPS} steps" in message
    assert table.best is table.records["1"], "nor does the progress call it the best"

    folder = tmp_path / "alone"
    folder.mkdir()
    best = best_of(table_of(early, seeds=1, scheduler="asha", grace_period=EVERY), folder)
    assert (best["steps_reached"], best["steps"], best["pruned"], best["seeds"]) == (2 * EVERY, STEPS, 1, 1)
    found = pd.read_csv(folder / "trials.csv").iloc[0]
    assert (found["steps"], found["outcome"]) == (2 * EVERY, "pruned")
    assert json.loads((folder / "metrics.json").read_text())["best_pruned"] == 1


def test_seeds_that_were_ended_early_are_not_averaged_with_whole_ones(tmp_path: Path) -> None:
    ended = [(0.01, [1.0], "pruned"), (0.01, [4.0] * WHOLE, "finished"), (0.1, [5.0] * WHOLE, "finished")]
    table = table_of(*ended, (0.1, [5.0] * WHOLE, "finished"), scheduler="asha", grace_period=EVERY)
    points = table.points().set_index("model.clip")
    assert points.loc[0.01, ["mean", "seeds", "steps", "pruned"]].tolist() == [4.0, 1, STEPS, 1]
    assert best_of(table, tmp_path)["values"] == {"model.clip": 0.1}, "of which both seeds are known"


def test_the_number_taken_anew_stands_beside_the_one_that_chance_has_helped(tmp_path: Path) -> None:
    """24 points of nothing but noise: the best evaluation of the best is far from what its models are worth."""
    random = np.random.default_rng(0)
    noise = [(float(clip), list(random.normal(20, 1, size=WHOLE)), "finished") for clip in range(1, 25)]
    best = best_of(table_of(*noise, seeds=1), tmp_path, Winner(Floor(19.9, 1.0, 20, 100), [20.3]))
    assert best["optimistic"]["mean"] < 18.5  # type: ignore[index]
    assert best["test"] == {"mean": 20.3, "sd": None}
    assert best["floor"] == {"mean": 19.9, "sd": 1.0, "draws": 20, "samples": 100}
    assert len(best["not_told_apart_from"]) > 10, "whose best differ by less than the noise of one"  # type: ignore[arg-type]
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert (numbers["best_test_mean"], numbers["floor_mean"], numbers["floor_sd"]) == (20.3, 19.9, 1.0)


def test_a_lead_within_floor_and_spread_is_none() -> None:
    """Means 1, 2 and 5 of two seeds each, with sd 0.1: twice the root of the squares is 2 sqrt(0.02 + floor^2)."""
    seeds = [(clip, [value] * WHOLE, "finished") for clip, mean in ((1.0, 1.0), (2.0, 2.0), (3.0, 5.0))
             for value in (mean - 0.1 / math.sqrt(2), mean + 0.1 / math.sqrt(2))]  # fmt: skip
    table = table_of(*seeds)
    assert table.points()["sd"].tolist() == pytest.approx([0.1] * 3)
    assert not_told_apart(table.points(), None, "min") == []
    assert not_told_apart(table.points(), Floor(0.0, 0.47, 20, 100), "min") == []
    assert not_told_apart(table.points(), Floor(0.0, 0.51, 20, 100), "min") == [1], "0.51^2 + 0.02 > 0.25"
    assert not_told_apart(table.points(), Floor(3.0, 2.0, 20, 100), "min") == [1, 2], "all are what real images have"
    message = text("clip", PARAMS, table, Winner(Floor(0.0, 0.51, 20, 100)))
    assert "not told apart from: clip=2\n" in message
    assert "adopt the first: " in message
    assert "the best:" not in message
    assert "adopt the best: " in text("clip", PARAMS, table, Winner())
    alone = table_of((1.0, [1.0], "finished"), (2.0, [9.0], "finished"), seeds=1)
    assert not_told_apart(alone.points(), None, "min") == [1], "one seed says nothing of the next"
    assert not_told_apart(alone.points(), Floor(0.0, 0.1, 20, 100), "min") == [1], "whatever real data have"
    assert not_told_apart(table.points()[::-1], Floor(9.0, 1.0, 20, 100), "max") == []
    assert not_told_apart(table.points()[::-1], Floor(1.5, 1.0, 20, 100), "max") == [1, 0], "1 and 2 are no less"


def test_the_edge_of_what_was_tried_is_named(tmp_path: Path) -> None:
    ended: list[ENDED] = [(clip, [clip] * WHOLE, "finished") for clip in (0.1, 1.0, 10.0)]
    assert best_of(table_of(*ended, seeds=1), tmp_path)["at_the_edge"] == ["model.clip=0.1 is the smallest tried"]
    assert "at the edge: model.clip=10.0 is the largest" in text(
        "c", PARAMS, table_of(*ended, seeds=1, mode="max"), Winner()
    )
    inside = table_of((0.1, [3.0], "finished"), (1.0, [1.0], "finished"), (10.0, [2.0], "finished"), seeds=1)
    assert "edge" not in text("clip", PARAMS, inside, Winner())

    rate = Axis(low=1e-4, high=1e-2, log=True)
    assert [rate.edge(value) for value in (1.1e-4, 1e-3, 9e-3)] == ["smallest", "", "largest"]
    count = Axis(low=1, high=8)
    assert [count.edge(value) for value in (1, 2, 7, 8)] == ["smallest", "", "", "largest"]
    assert Axis(values=("layer", "none")).edge("layer") == ""
    assert Axis(values=(True, False)).edge(True) == ""
    assert Axis(values=(1.0,)).edge(1.0) == "", "one value has no order"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_trial_with_a_number_that_is_not_finite_has_no_value(mode: str, tmp_path: Path) -> None:
    broken = [(0.2, [1.0, math.inf], "finished"), (0.3, [1.0, -math.inf], "finished"), (0.4, [math.nan], "finished")]
    table = table_of((0.1, [5.0] * WHOLE, "finished"), *broken, seeds=1, mode=mode)
    best = best_of(table, tmp_path)
    assert (best["values"], best["optimistic"]) == ({"model.clip": 0.1}, {"mean": 5.0, "sd": None})
    assert pd.read_csv(tmp_path / "trials.csv")["best"].notna().tolist() == [True, False, False, False]

    search = Search(table.sweep, [], lambda trial, points: {}, lambda trial: False, lambda name, trial: None)
    search.suggest("trial")
    for step, value in ((50, 1.0), (100, math.inf), (150, 2.0)):
        search.on_trial_result("trial", {"step": step, table.sweep.metric: value})
    search.on_trial_complete("trial")
    assert search.points.study.trials[0].state.name == "FAIL", "the search does not learn from it"


@pytest.mark.parametrize(
    ("pairs", "real"),
    [
        (((1.7e308, 1.7e308), (-1.7e308, 1.7e308)), 1.7e308),
        (((5e-324, 5e-324), (1.7e308, 1e-5)), 5e-324),
        (((1e20, 1e-20), (1e200, math.nan)), math.inf),
    ],
)
def test_a_report_shows_any_numbers(pairs: tuple[tuple[float, float], tuple[float, float]], real: float) -> None:
    ended = [
        (clip, [value] * WHOLE, "finished") for clip, both in zip((0.1, 1.0), pairs, strict=True) for value in both
    ]
    table = table_of(*ended)
    verdict = Winner(Floor(real, abs(real), 20, 100), [real]) if math.isfinite(real) else Winner()
    if all(record.best is None for record in table.records.values()):
        with pytest.raises(InputError):
            check_report("clip", table)
        return
    with tempfile.TemporaryDirectory() as name:
        best_of(table, Path(name), verdict)
        numbers = json.loads((Path(name) / "metrics.json").read_text())
        assert (Path(name) / "figures" / "metric.png").stat().st_size > 1000
    assert text("clip", PARAMS, table, verdict)
    assert all(math.isfinite(value) for value in numbers.values())


def test_the_mean_of_numbers_whose_sum_is_none() -> None:
    assert mean_sd([1.0, 3.0]) == (2.0, math.sqrt(2))
    assert mean_sd([1.5e308, 1.5e308]) == (1.5e308, 0.0)
    assert mean_sd([1.7e308, -1.7e308]) == (0.0, math.inf)
    assert math.isnan(mean_sd([1.0])[1])


def test_a_trial_that_failed_does_not_withhold_the_others(tmp_path: Path) -> None:
    table = Table(Sweep.model_validate(sweep_of(seeds=1)))
    for place, clip in enumerate((0.01, 0.1)):
        table.begin(str(place), Trial(place, {"model.clip": clip}, 0))
    table.add("1", EVERY, {table.sweep.metric: 0.5, "seconds": 1.0})
    table.add("0", EVERY, {table.sweep.metric: 0.1, "seconds": 1.0})
    table.records["0"].outcome, table.records["1"].outcome = "failed", "finished"
    write_report("clip", PARAMS, table, Winner(), tmp_path)
    assert pd.read_csv(tmp_path / "trials.csv")["best"].isna().tolist() == [True, False], "it may have become worse"
    assert pd.read_csv(tmp_path / "trials.csv")["outcome"].tolist() == ["failed", "finished"]
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["values"] == {"model.clip": 0.1}


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    table = Table(Sweep.model_validate(sweep_of(seeds=1)))
    table.begin("0", Trial(0, {"model.clip": 0.01}, 0))
    table.add("0", EVERY, {table.sweep.metric: 0.5, "seconds": 1.0})
    table.records["0"].outcome = "finished"
    assert write_report("clip", PARAMS, table, Winner(), tmp_path)["best/optimistic_mean"] == 0.5
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["optimistic"] == {"mean": 0.5, "sd": None}


def test_of_trials_that_all_diverged_none_is_recommended(tmp_path: Path) -> None:
    table = Table(Sweep.model_validate(sweep_of(seeds=1)))
    for point, clip in enumerate((0.01, 0.1)):
        table.begin(str(point), Trial(point, {"model.clip": clip}, 0))
        table.add(str(point), EVERY, {table.sweep.metric: 0.5})
        table.records[str(point)].outcome = "diverged"
    with pytest.raises(InputError, match=r"^sweeps\.clip: all 2 trials diverged; MLflow has their losses"):
        check_report("clip", table)


def test_trials_are_told_with_the_seeds_that_they_had() -> None:
    table = Table(Sweep.model_validate(sweep_of(seeds=2)), first_seed=7)
    for seed in range(2):
        table.begin(str(seed), Trial(0, {"model.clip": 0.01}, seed))
    assert table.trials()["seed"].tolist() == [7, 8]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("file", ["params.yaml", "paper/params.yaml"])
def test_what_a_sweep_recommends_can_be_adopted_and_changes_that_run_alone(
    file: str, written: bool, tmp_path: Path
) -> None:
    before, copy = load_params(ROOT / file), tmp_path / "params.yaml"
    points = {sweep.run: (sweep, dict(next(sweep.grid()))) for sweep in before.sweeps.values()}
    short = yaml.safe_load((ROOT / file).read_text())
    if not written:  # but left to the family's default
        for sweep, values in points.values():
            for path in values:
                del short["runs"][sweep.run]["model"][path.removeprefix("model.")]
    copy.write_text(yaml.safe_dump(short))
    for sweep, values in points.values():
        sets = adopt(sweep, copy, values).replace(f"{copy}:", "").split(" -S ")[1:]
        assert {one.startswith("+") for one in sets} == {not written}
        apply_overrides(str(copy), [one.split()[0] for one in sets])  # what `dvc exp run` does with them
    after = load_params(copy)
    assert {run for run in before.runs if after.runs[run] != before.runs[run]} <= set(points)
    for sweep, values in points.values():
        for path, value in values.items():
            assert number(after.runs[sweep.run].model[path.removeprefix("model.")]) == value, sweep.run


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_points_go_on_where_they_were(search: str) -> None:
    sweep = Sweep.model_validate(
        sweep_of({"model.lr": {"low": 1e-4, "high": 1e-1, "log": True}}, search=search, points=12)
    )

    def draw(points: Points, most: int) -> list[Point]:
        drawn: list[Point] = []
        while len(drawn) < most and (point := points.next()) is not None:
            (value,) = point.values()
            points.tell(len(drawn), [abs(np.log10(float(value)) + 2)], STEPS)  # type: ignore[arg-type]
            drawn.append(point)
        return drawn

    few = Sweep.model_validate(sweep_of({"model.n_critic": {"low": 1, "high": 3}}, search=search, points=12))
    assert sorted(point["model.n_critic"] for point in draw(Points(few, []), 100)) == [1, 2, 3], "each point once"
    more = Sweep.model_validate(sweep_of({"model.n_critic": {"low": 1, "high": 30}}, search=search, points=30))
    assert len(draw(Points(more, []), 100)) == 30, "TPE, too, comes to all points"
    first = draw(Points(sweep, []), 5)
    whole = draw(Points(sweep, first), 100)
    assert whole[:5] == first
    assert len(whole) == 12
    assert len({point["model.lr"] for point in whole}) == 12
    assert search == "tpe" or whole == draw(Points(sweep, []), 100), (
        "killed or not, a random search has the same points"
    )


def test_the_search_knows_a_trial_that_was_ended_early_from_a_whole_one() -> None:
    space = {"model.lr": {"low": 1e-4, "high": 1e-1, "log": True}}
    points = Points(Sweep.model_validate(sweep_of(space, search="tpe", points=3)), [])
    for place, (values, ended_at) in enumerate([([0.5], STEPS), ([0.3, 0.5], EVERY), ([], 0)]):
        points.next()
        points.tell(place, values, ended_at)
    assert [trial.state.name for trial in points.study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert points.study.trials[1].intermediate_values == {EVERY: 0.4}
