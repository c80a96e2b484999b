"""Scores at checkpoints: what they are a function of, and which checkpoint is the best."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gen.config.extractors import scoring_extractor
from gen.config.sweep import validation_scores
from gen.data.dataset import Dataset
from gen.evaluation.reference import open_reference, write_reference
from gen.extractors.classifier import train_classifier
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments
from gen.training.checkpoint import Checkpoints
from gen.training.loop import Loop, finished_family, initial_family
from gen.training.scores import Coordinates, LightFrechet
from gen.training.train import train
from tests.families.small import IMAGES, POINTS
from tests.training.test_loop import Watcher
from tests.training.tiny import logging, run_of


@pytest.fixture(scope="module")
def score(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> LightFrechet:
    folder = tmp_path_factory.mktemp("digits") / "classifier"
    folder.mkdir()
    model = train_classifier(datasets["digits"], None, steps=20)
    safetensors.torch.save_file(model.state_dict(), folder / "classifier.safetensors")
    write_reference(
        folder, extractor="classifier", dataset=datasets["digits"], resolution=None, notes={}, move=lambda images: None
    )
    return LightFrechet(open_reference(folder), samples=150)


def test_the_light_distance_is_the_distance(score: LightFrechet, datasets: dict[str, Dataset]) -> None:
    run = run_of("gan", IMAGES)
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    loop.step()
    seen = score.reference.extract(loop.sample("score", rows=150)).features
    expected = frechet_distance(score.reference.moments["validation"], moments(gather(seen))).distance
    before = torch.random.get_rng_state()
    assert score(loop) == pytest.approx({"fid_classifier": expected, "singular_covariance_classifier": 0}, rel=1e-12)
    assert score(loop) == score(loop)
    assert torch.equal(torch.random.get_rng_state(), before), "a score must not disturb training"


@pytest.mark.parametrize(
    ("extractor", "told"),
    [("classifier", "fid_classifier"), ("inception_bicubic", "fid_inception_bicubic_bfloat16")],
)
def test_looks_say_what_they_are_taken_by(
    extractor: str, told: str, score: LightFrechet, datasets: dict[str, Dataset]
) -> None:
    run = run_of("gan", IMAGES)
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    described = {**score.reference.described, "extractor": scoring_extractor(extractor)}
    looking = LightFrechet(replace(score.reference, described=described), samples=20)
    message = looking(loop)
    assert list(message) == [told, told.replace("fid", "singular_covariance")], "the first chooses"
    assert message[told.replace("fid", "singular_covariance")] == 1, "20 samples of 128 features"
    assert validation_scores(extractor) == [f"validation/{told}"], "what a sweep may go by"


@pytest.mark.parametrize("stop_at", [None, 8])
def test_the_best_checkpoint_is_kept_and_resume_does_not_change_it(
    stop_at: int | None, score: LightFrechet, datasets: dict[str, Dataset], tmp_path: Path
) -> None:
    run = run_of("gan", IMAGES, steps=24, lr=5e-3)
    digits = datasets["digits"]
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    often = logging(keep_checkpoints=1)
    if stop_at is not None:
        train(run, digits, logging=often, callback=Watcher(stop_at), checkpoints=checkpoints, score=score)
    watcher = Watcher()
    train(run, digits, logging=often, callback=watcher, checkpoints=checkpoints, score=score)
    name = "validation/fid_classifier"
    told = {step: values[name] for step, values in watcher.message if name in values}
    assert sorted(told) == [4, 8, 12, 16, 20, 24]
    last = checkpoints.newest()
    assert last is not None
    best = min(told, key=told.__getitem__)
    assert last["best"] == (best, told[best])
    assert set(checkpoints.steps()) == {best, 24}
    state = checkpoints.at(best)
    assert state is not None
    family = finished_family(run, digits, state)
    loop = Loop(run.model_copy(update={"ema": None}), family, digits)
    assert score(loop)["fid_classifier"] == pytest.approx(told[best], rel=1e-9), "what is exported is what was scored"
    other = LightFrechet(score.reference, samples=40)
    again = Watcher()
    train(
        run.model_copy(update={"steps": 28}),
        digits,
        logging=often,
        callback=again,
        checkpoints=checkpoints,
        score=other,
    )
    resumed = checkpoints.newest()
    assert resumed is not None
    assert resumed["best"][0] == 28, "values of another judge are not compared with"
    shares = [values["scoring_share_of_time"] for _, values in watcher.message if "scoring_share_of_time" in values]
    assert all(0 < share < 1 for share in shares)
    if stop_at is not None:
        whole = Checkpoints(str(tmp_path / "whole"), "gan", "0" * 64)
        train(run, digits, logging=often, checkpoints=whole, score=score)
        uninterrupted = whole.newest()
        assert uninterrupted is not None
        assert uninterrupted["best"] == last["best"]


def test_without_a_reference_samples_are_scored_in_their_coordinates(datasets: dict[str, Dataset]) -> None:
    loop = Loop(run_of("gan"), initial_family(run_of("gan"), datasets["digits"]), datasets["digits"])
    (name, value), *others = Coordinates(64)(loop).items()
    assert name == "sliced_wasserstein"
    assert value > 0
    assert not others


def test_of_a_mixture_its_modes_choose_the_best(datasets: dict[str, Dataset]) -> None:
    run = run_of("gan", POINTS)
    loop = Loop(run, initial_family(run, datasets["ring8"]), datasets["ring8"])
    message = Coordinates(64)(loop)
    assert list(message) == ["mode_variation", "modes_covered", "high_quality", "sliced_wasserstein"]
    assert {f"validation/{name}" for name in message} == set(validation_scores("coordinates")), "what a sweep may go by"
    assert 0.5 < message["mode_variation"] <= 1, "nobody has trained it"


def test_the_first_number_chooses_and_the_last_of_equals(datasets: dict[str, Dataset], tmp_path: Path) -> None:
    class Falling:
        digest = "falling"
        every = 1

        def __call__(self, loop: Loop) -> dict[str, float]:
            return {"chooses": max(3.0, 10.0 - loop.steps_done), "told": float(loop.steps_done)}

    run = run_of("gan", IMAGES, steps=24)
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    train(run, datasets["digits"], logging=logging(), checkpoints=checkpoints, score=Falling())
    last = checkpoints.newest()
    assert last is not None
    assert last["best"] == (24, 3.0)


def test_scores_are_as_rare_as_asked_for_and_the_last_checkpoint_has_one(
    datasets: dict[str, Dataset], tmp_path: Path
) -> None:
    class Counting:
        digest = "counting"
        every = 8

        def __init__(self) -> None:
            self.seen: list[int] = []

        def __call__(self, loop: Loop) -> dict[str, float]:
            self.seen.append(loop.steps_done)
            return {"steps": float(loop.steps_done)}

    score, run = Counting(), run_of("gan", IMAGES, steps=20)
    checkpoints = Checkpoints(str(tmp_path), "gan", "0" * 64)
    train(run, datasets["digits"], logging=logging(), checkpoints=checkpoints, score=score)
    assert score.seen == [8, 16, 20]
    assert 8 in checkpoints.steps(), "the best is kept, though newer ones have no score"
