"""Sweeps of params.yaml: what is said when one is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
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
    ],
)
def test_a_mistake_is_named_with_its_address_and_remedy(
    edit: Edit, message: str, refusal: Callable[[Edit], str]
) -> None:
    assert message in refusal(edit)
