"""params.yaml: what is said when it is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.config.load import load_params
from gen.errors import InputError

ROOT = Path(__file__).parents[2]
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def params() -> dict[str, Any]:
    """The project's own params.yaml, whose first digits run is edited below."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return values


@pytest.mark.parametrize("file", ["params.yaml", "paper/params.yaml", "docs/comparisons/mnist/params.yaml"])
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
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.clp": {"values": [1]}}),
            "sweeps.ring8_clip.space.model.clp: no hyperparameter that can be swept; did you mean model.clip?",
        ),
        (
            lambda p: p["sweeps"]["digits_lambda"].update(space={"model.lambda": {"values": [1.0]}}),
            "sweeps.digits_lambda.space.model.lambda: no hyperparameter; did you mean model.penalty_weight?",
        ),
        (
            lambda p: p["sweeps"]["digits_lambda"].update(changes={"model.latent": 8}),
            "sweeps.digits_lambda.changes.model.latent: no hyperparameter; did you mean model.latent_dim?",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"steps": {"values": [1]}}),
            "sweeps.ring8_clip.space.steps: no hyperparameter that can be swept",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.clip": {"values": [0.1, -1]}}),
            "sweeps.ring8_clip[clip=-1].model.clip: input should be greater than 0; got -1",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"]["space"].update({"model.lr": {"low": -1.0, "high": 1.0}}),
            "sweeps.ring8_joint[lr=-1 n_critic=1 penalty_weight=0.01].model.lr: input should be greater than 0",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"]["space"].update({"model.lr": {"low": 1.0, "high": 0.1}}),
            "sweeps.ring8_joint.space.model.lr: give values, or low and high with low < high",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"]["space"].update({"model.lr": {"low": 0.0, "high": 0.1, "log": True}}),
            "sweeps.ring8_joint.space.model.lr: log needs values, low and high above 0; got {'high'",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(run="ring8_wgam"),
            "unknown run 'ring8_wgam'; did you mean ring8_wgan",
        ),
        (lambda p: p["sweeps"]["ring8_clip"].update(family="gan"), "dataset and family are those of the run"),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(points=3),
            "points is null for grid, and a number for random and tpe",
        ),
        (lambda p: p["sweeps"]["ring8_joint"].update(search="grid", points=None), "a grid needs values"),
        (
            lambda p: p["sweeps"]["ring8_joint"].update(
                changes={"compute.grad_accum_steps": 2}, space={"batch_size": {"low": 254, "high": 258}}
            ),
            "sweeps.ring8_joint[batch_size=255].batch_size: 255",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"].update(
                space={"batch_size": {"low": 12, "high": 512}, "compute.grad_accum_steps": {"low": 1, "high": 4}}
            ),
            "cannot be cut evenly",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"].update(
                changes={"compute.grad_accum_steps": 2}, space={"batch_size": {"low": 32, "high": 4096}}
            ),
            "cannot be cut evenly over 1 workers x 2 grad_accum_steps",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"]["space"].update({"model.n_critic": {"low": 1.0, "high": 8.0}}),
            "n_critic=5.326 penalty_weight=0.01].model.n_critic: input should be a valid integer",
        ),
        (lambda p: p["sweeps"]["ring8_joint"].update(grace_period=800), "grace_period is less than steps"),
        (
            lambda p: p["sweeps"]["ring8_joint"]["space"].update({"model.lr": [0.1]}),
            "space.model.lr: expected a section with values, low, high",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.n_critic": {"values": [1, 1.0]}}),
            "one of the values is there twice",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.n_critic": {"values": [True, 2]}}),
            "should be a number, not yes or no; got True",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.clip": {"values": [[1], 2]}}),
            "values: each is a finite number, a text, true",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(changes={"model.n_critic": -1}),
            "sweeps.ring8_clip.changes.model.n_critic: input should be",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(evaluate_evry=1),
            "sweeps.ring8_clip.evaluate_evry: unknown; did you mean evaluate_every?",
        ),
        (
            lambda p: p["sweeps"]["digits_beta"].update(metric="validation/fid_classifier"),
            "sweeps.digits_beta.metric: validation/fid_classifier: vae is scored by its own loss; known: "
            "validation/nats_bound",
        ),
        (
            lambda p: p["sweeps"]["digits_lambda"].update(metric="validation/nats"),
            "no score by the extractors of reference.digits; known: validation/fid_classifier",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(metric="validation/fid_coordinate"),
            "ring8_clip.metric: validation/fid_coordinate: no score by the extractors of reference.ring8; known",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"].update(grace_period=None),
            "grace_period is a number for asha, and null for none",
        ),
        (
            lambda p: p["sweeps"]["ring8_joint"].update(evaluate_every=300),
            "multiples of evaluate_every; got {'evaluate_every': 300, 'grace_period': 200, 'steps': 800}",
        ),
        (lambda p: p["sweeps"]["ring8_clip"].update(changes={"model.clip": 1}), "model.clip is swept; name it once"),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"compute.workers": {"values": [1, 2]}}),
            "sweeps.ring8_clip.space: compute.workers is the same for all trials; set it in changes",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model.clip": {"values": ["1e-2", 0.01]}}),
            "one of the values is there twice",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(metric="fid"),
            "sweeps.ring8_clip.metric: give it as MLflow shows it: validation/<score>, loss/<name> or",
        ),
        (
            lambda p: p["reference"]["digits"].update(score_every=300),
            "reference.digits.score_every: 300 is no multiple of logging.checkpoint_every, 250",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(changes={"model": {"width": 16}}),
            "ring8_clip.changes.model: no section, but paths belong here; write model.width: 16",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"model": {"clip": {"log": True, "values": [0.1, 1]}}}),
            "space.model: no section, but paths belong here; write model.clip: {log: true, values: [0.1, 1]}",
        ),
        (
            lambda p: p["sweeps"]["ring8_clip"].update(space={"batch_size": {"valeus": [16, 32]}}),
            "ring8_clip.space.batch_size.valeus: unknown; did you mean values?",
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
    params: dict[str, Any], edit: Edit, message: str, tmp_path: Path
) -> None:
    edit(params)
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params))
    with pytest.raises(InputError) as error:
        load_params(file)
    line = str(error.value)
    assert message in line
    assert line.count(str(file)) == 1
    assert "\n" not in line


def test_an_unknown_run_is_named(params: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"did you mean {RUN}"):
        load_params(ROOT / "params.yaml").run("digits_dcgn")


def test_a_run_may_start_from_what_another_will_leave(params: dict[str, Any], tmp_path: Path) -> None:
    params["runs"]["digits_lsgan"]["warm_start"] = "digits/digits_dcgan/last"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert load_params(tmp_path / "params.yaml").run("digits_lsgan").warm_start == "digits/digits_dcgan/last"
