"""params.yaml: what is said when it is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.config.load import load_params
from gen.errors import InputError

ROOT = Path(__file__).parents[2]
OWN = [
    "params.yaml",
    "paper/params.yaml",
    *(f"docs/comparisons/{name}/params.yaml" for name in ("mnist", "mnist_likelihoods")),
]
Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("file", OWN)
def test_the_projects_own_are_right(file: str) -> None:
    params = load_params(ROOT / file)
    assert params.runs
    assert all(run.dataset in params.datasets for run in params.runs.values())


RUN = "digits_dcgan"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda p: p["runs"][RUN]["model"].update(widht=3), f"runs.{RUN}.model.widht: unknown; did you mean width?"),
        (
            lambda p: p["runs"][RUN].update(compute={"microbatches": 1}),
            f"runs.{RUN}.compute.microbatches: unknown; it was renamed; write grad_accum_steps",
        ),
        (
            lambda p: p["runs"][RUN].update(compute={"thread": 1}),
            f"runs.{RUN}.compute.thread: unknown; did you mean",
        ),
        (lambda p: p["runs"][RUN].update(seeds=0), f"runs.{RUN}.seeds: input should be greater than 0; got 0"),
        (
            lambda p: p["runs"].update({f"{RUN}-seed1": p["runs"][RUN], RUN: p["runs"][RUN] | {"seeds": 2}}),
            f"runs.{RUN}-seed1: that is a training of runs.{RUN}; choose another name",
        ),
        (
            lambda p: p["runs"]["digits_wgan_gp"]["model"].update({"lambda": 3}),
            "runs.digits_wgan_gp.model.lambda: unknown; did you mean penalty_weight?",
        ),
        (lambda p: p["runs"][RUN].update(group="Digits"), f"runs.{RUN}.group: use small letters, digits, - and _: it"),
        (
            lambda p: p["runs"][RUN].update(warm_start="digits/digits_gna"),
            f"runs.{RUN}.warm_start: digits/digits_gna is no trained model; did you mean digits/digits_gan?",
        ),
        (
            lambda p: p["runs"][RUN].update(part="./models/digits/digits_gan"),
            f"runs.{RUN}.part: models are named by their folder below models/; write digits/digits_gan",
        ),
        (
            lambda p: (
                p["runs"][RUN].update(warm_start="digits/digits_gan"),
                p["runs"]["digits_gan"].update(warm_start=f"digits/{RUN}/last"),
            ),
            f"runs.digits_gan.warm_start: digits/{RUN}/last waits for runs.{RUN} itself; name another model",
        ),
        (
            lambda p: (
                [one["digits"].update(resolution=24) for one in (p["reference"],)]
                + [run.update(resolution=24) for run in p["runs"].values() if run["dataset"] == "digits"]
            ),
            "runs.digits_ali: image of 24x24: networks with an encoder are for squares of 16, 32, 64 pixels",
        ),
        (
            lambda p: (
                [p["reference"]["digits"].update(resolution=8)]
                + [run.update(resolution=8) for run in p["runs"].values() if run["dataset"] == "digits"]
            ),
            "runs.digits_ali.resolution: 8 is smaller than the 16x16 images of digits; give 16 or more",
        ),
        (
            lambda p: p["runs"]["digits_unpaired_cycle_gan"].update(dataset="digits"),
            "runs.digits_unpaired_cycle_gan: cycle_gan sees images of a second domain, 'input', and the data set ",
        ),
        (lambda p: p["runs"][RUN].update(stpes=3), f"runs.{RUN}.stpes: unknown; did you mean steps?"),
        (lambda p: p["runs"][RUN].pop("steps"), f"runs.{RUN}.steps: missing; Steps of the last network to move"),
        (
            lambda p: p["runs"][RUN].update(family="dcgam"),
            f"runs.{RUN}.model: unknown family 'dcgam'; did you mean dcgan?",
        ),
        (
            lambda p: p["runs"][RUN].update(dataset="digit"),
            f"runs.{RUN}.dataset: unknown data set 'digit'; did you mean",
        ),
        (
            lambda p: p["runs"][RUN]["model"].update(lr=-1),
            f"runs.{RUN}.model.lr: input should be greater than 0; got -1",
        ),
        (lambda p: p["runs"][RUN].update(steps="many"), f"runs.{RUN}.steps: input should be a valid integer"),
        (
            lambda p: p["runs"][RUN].update(compute={"workers": 3}),
            f"runs.{RUN}.batch_size: 64 cannot be cut evenly over 3 workers",
        ),
        (lambda p: p["runs"].update({RUN: None}), f"runs.{RUN}: expected a section with family, dataset"),
        (
            lambda p: p["datasets"]["digits"].update(source="digit"),
            "datasets.digits.source: unknown source 'digit'; did",
        ),
        (lambda p: p["datasets"]["digits"].pop("source"), "datasets.digits.source: missing; one of "),
        (lambda p: p["logging"].update(grid_every=0), "logging.grid_every: input should be greater than 0; got 0"),
        (lambda p: p.update(run={}), "run: unknown; did you mean runs?"),
        (
            lambda p: p["reference"]["digits"].update(score_every=300),
            "reference.digits.score_every: 300 is no multiple of logging.checkpoint_every, 250",
        ),
        (
            lambda p: p["reference"]["digits"].update(classifier_steps=0),
            "reference.digits.classifier_steps: the classifier among the extractors needs some, such as 1500; got 0",
        ),
        (
            lambda p: p["reference"]["digits"].update(extractors=["classifier", "coordinates"]),
            "reference.digits.extractors: coordinates are of points, these are images; use classifier, pixels or an",
        ),
        (
            lambda p: p["reference"]["ring8"].update(extractors=["pixels"]),
            "reference.ring8.extractors: pixels is for images, these are points; use coordinates",
        ),
        (lambda p: p.pop("cluster"), "cluster: missing"),
        (lambda p: p["cluster"].update(storage=""), "cluster.storage: string should have at least 1 character"),
        (lambda p: p["runs"]["digits_gan"].update(warm_start=""), "digits_gan.warm_start: string should have at least"),
        (
            lambda p: p["runs"]["digits_gan"].update(group="svm"),
            "digits_gan.group: svm is what evaluations/<group>/svm",
        ),
        (lambda p: p["runs"]["digits_gan"].update(group="-a"), "digits_gan.group: "),
        (lambda p: p["runs"]["digits_gan"].update(group="g" * 300), "a name of 300 letters"),
        (lambda p: p["runs"].update({"r" * 300: p["runs"]["digits_gan"]}), "a name of 300 letters; use 100 at most"),
        (lambda p: p["runs"].update({"a\nb": p["runs"]["digits_gan"]}), "runs.a b: not a name for a folder"),
        (lambda p: p["datasets"].update({"../evil": p["datasets"]["digits"]}), "../evil: not a name for a folder"),
    ],
)
def test_a_mistake_is_named_with_its_address_and_remedy(
    edit: Edit, message: str, refusal: Callable[[Edit], str]
) -> None:
    assert message in refusal(edit)


def test_an_unknown_run_is_named(params: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"did you mean {RUN}"):
        load_params(ROOT / "params.yaml").run("digits_dcgn")


def test_a_run_may_start_from_what_another_will_leave(params: dict[str, Any], tmp_path: Path) -> None:
    params["runs"]["digits_lsgan"]["warm_start"] = "digits/digits_dcgan/last"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert load_params(tmp_path / "params.yaml").run("digits_lsgan").warm_start == "digits/digits_dcgan/last"
