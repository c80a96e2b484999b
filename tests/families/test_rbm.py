"""The mathematics of restricted Boltzmann machines, against the enumeration of all states of small ones."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gen.abilities import Unnormalised
from gen.errors import InputError
from gen.families import load_family
from gen.family import Batch, DataSpec, ImageShape, Noise
from gen.memory import memories
from gen.nets.boltzmann import BoltzmannMachine, inverse_temperatures

IMAGE, HIDDEN = ImageShape(1, 3, 3), 5
VISIBLE = torch.tensor(list(product((0.0, 1.0), repeat=9)), dtype=torch.float64)
"""Every state of the visible units."""


def built(scale: float = 0.7, **changes: Any) -> Any:
    """A model in float64 whose units depend on one another."""
    family = load_family("rbm", {"hidden": HIDDEN, "burn_in": 50} | changes, DataSpec(IMAGE)).to(dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    for _, param in family.named_parameters():
        param.data.copy_(scale * torch.randn(param.shape, generator=generator, dtype=torch.float64))
    for memory in memories(family):
        memory.make_room(4)
    return family.train(False)


def enumerated(machine: BoltzmannMachine) -> tuple[Tensor, Tensor]:
    """-E(v, h) of every state, and log Z, from the definition."""
    h = torch.tensor(list(product((0.0, 1.0), repeat=HIDDEN)), dtype=torch.float64)
    with torch.no_grad():
        energy = -(VISIBLE @ machine.W @ h.T) - (VISIBLE @ machine.b)[:, None] - (h @ machine.c)[None]
        return -energy, (-energy).flatten().logsumexp(0)


def batch(v: Tensor) -> Batch:
    return Batch((2 * v - 1).reshape(-1, *IMAGE), torch.zeros(len(v), dtype=torch.int64))


def noise(rows: int, key: str = "x") -> Noise:
    return Noise(key, rows=rows, dtype=torch.float64)


def test_the_free_energy_sums_over_hidden_units() -> None:
    model = built()
    joint, _ = enumerated(model.machine)
    with torch.no_grad():
        torch.testing.assert_close(-model.machine.free_energy(VISIBLE), joint.logsumexp(dim=1))
        found = model.log_unnormalised(batch(VISIBLE), noise(len(VISIBLE)))
    torch.testing.assert_close(found, joint.logsumexp(dim=1))


def test_the_pseudo_likelihood_is_of_each_unit_given_the_others() -> None:
    model = built()
    joint, _ = enumerated(model.machine)
    log_p = joint.logsumexp(dim=1)
    number = (VISIBLE @ (2 ** torch.arange(8, -1, -1, dtype=torch.float64))).long()
    assert torch.equal(number, torch.arange(512))
    by_hand = sum(log_p - torch.logaddexp(log_p, log_p[number ^ (1 << bit)]) for bit in range(9))
    with torch.no_grad():
        found = model.held_out_loss(batch(VISIBLE), noise(512))
    torch.testing.assert_close(-found, torch.as_tensor(by_hand))


@pytest.mark.parametrize("scale", [0.3, 1.5])
def test_annealed_importance_sampling_finds_log_z_within_its_error(scale: float) -> None:
    """Twenty times: the estimates spread as their errors say, and their mean ratio to Z is 1."""
    model = built(scale)
    _, exact = enumerated(model.machine)
    with torch.no_grad():
        found = [model.machine.log_partition(60, 50, noise(1, f"ais {i}")) for i in range(20)]
    off = torch.stack([one.value - exact for one in found])
    errors = torch.stack([one.error for one in found])
    assert 0.5 < float(off.square().mean().sqrt() / errors.square().mean().sqrt()) < 2
    assert float(off.exp().mean()) == pytest.approx(1, abs=4 * float(off.exp().std()) / 20**0.5)


def test_more_temperatures_bring_log_z_nearer() -> None:
    model = built(1.5)
    _, exact = enumerated(model.machine)
    with torch.no_grad():
        few, many = (model.machine.log_partition(steps, 100, noise(1)) for steps in (10, 1000))
    assert many.error < few.error / 3
    assert float(many.value - exact) == pytest.approx(0, abs=4 * float(many.error))


def test_the_likelihoods_of_all_images_sum_to_one() -> None:
    model = built(temperatures=300, chains=200)
    assert isinstance(model, Unnormalised)
    with torch.no_grad():
        total = float(model.log_likelihood(batch(VISIBLE), noise(512)).exp().sum())
        error = float(model.log_partition(noise(512)).error)
    assert total == pytest.approx(1, abs=4 * error)
    assert error < 0.05
    with pytest.raises(InputError, match=r"^images: a value of 3; a model of discrete pixels"):
        model.log_likelihood(batch(2 * torch.ones(1, 9, dtype=torch.float64)), noise(1))


def test_temperatures_go_from_0_to_1_as_published() -> None:
    betas = torch.tensor(inverse_temperatures(14_500))
    assert len(betas) == 14_501
    assert [int((betas <= end).sum()) - 1 for end in (0.5, 0.9, 1.0)] == [500, 4_500, 14_500]
    assert bool((betas.diff() > 0).all())


def test_gibbs_sampling_leaves_the_distribution_as_it_is() -> None:
    """From 20,000 exact draws, a step later every unit's mean and every pair's is that of the distribution."""
    model, rows = built(1.0), 20_000
    joint, log_z = enumerated(model.machine)
    p = (joint.logsumexp(dim=1) - log_z).exp()
    torch.manual_seed(0)
    v = VISIBLE[torch.multinomial(p, rows, replacement=True)]
    with torch.no_grad():
        after, _ = model.machine.chain(v, 3, noise(rows))
    pairs = VISIBLE.T @ (p[:, None] * VISIBLE)
    assert bool((after.T @ after / rows - pairs).abs().max() < 4.5 * 0.5 / rows**0.5)
    assert bool((after != v).any())


def test_samples_forget_where_they_began() -> None:
    model, rows = built(0.7, burn_in=30), 5_000
    joint, log_z = enumerated(model.machine)
    p = (joint.logsumexp(dim=1) - log_z).exp()
    with torch.no_grad():
        drawn = (model.sample(noise(rows)).flatten(1) + 1) / 2
    assert bool((drawn.mean(dim=0) - p @ VISIBLE).abs().max() < 4.5 * 0.5 / rows**0.5)


def test_completions_are_of_the_conditional_distribution() -> None:
    model, rows = built(1.0, burn_in=40), 5_000
    joint, _ = enumerated(model.machine)
    known = torch.tensor([[True, True, True], [False, True, False], [False, False, False]])
    given = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    fits = (VISIBLE[:, known.flatten()] == given[known.flatten()]).all(dim=1)
    p = joint.logsumexp(dim=1).masked_fill(~fits, -torch.inf).softmax(dim=0)
    with torch.no_grad():
        made = model.complete(batch(given.expand(rows, 9)).images, known, noise(rows))
    assert bool(((made.flatten(1) + 1) / 2 - p @ VISIBLE).mean(dim=0).abs().max() < 4.5 * 0.5 / rows**0.5)


@pytest.mark.parametrize("persistent", [False, True])
def test_the_gradient_is_that_of_data_less_that_of_the_chains(persistent: bool) -> None:
    model = built(persistent=persistent, k=2)
    v = VISIBLE[[3, 77, 200, 510]]
    chains = VISIBLE[[0, 1, 100, 300]]
    if persistent:
        model.chains.keep(noise(4), chains)
    loss = model.loss(batch(v), noise(4))["contrast"]
    found = torch.autograd.grad(loss, [model.machine.W, model.machine.b, model.machine.c])
    draws = noise(4)
    with torch.no_grad():
        end, _ = model.machine.chain(chains if persistent else v, 2, draws)
        data, model_h = (model.machine.hidden_logits(one).sigmoid() for one in (v, end))
        by_hand = [-(v.T @ data - end.T @ model_h) / 4, -(v - end).mean(dim=0), -(data - model_h).mean(dim=0)]
    for mine, expected in zip(found, by_hand, strict=True):
        torch.testing.assert_close(mine, expected)
    if persistent:
        assert torch.equal(model.chains.recall(noise(4)), end), "where the chains go on"


def test_the_learning_rate_falls_to_0() -> None:
    (update,) = built(decay_steps=200).updates()
    schedule = update.optimizer_steps["contrast"].schedule
    assert [schedule(step) for step in (0, 100, 200, 300)] == [1.0, 0.5, 0.0, 0.0]


def test_filters_are_the_weights_of_units_the_largest_first() -> None:
    model = built()
    weights, filters = model.machine.W.detach(), model.filters()
    assert filters.shape == (HIDDEN, *IMAGE)
    largest = weights[:, weights.norm(dim=0).argmax()]
    torch.testing.assert_close(filters[0].flatten(), largest / largest.abs().max())


def test_a_machine_without_weights_has_a_likelihood_of_its_biases() -> None:
    model = built(0.0, temperatures=30, chains=10)
    with torch.no_grad():
        model.machine.b.fill_(1.0)
        white = float(model.log_likelihood(batch(torch.ones(1, 9, dtype=torch.float64)), noise(1)))
        assert float(model.log_partition(noise(1)).error) < 1e-5
    assert white == pytest.approx(9 * float(torch.tensor(1.0).sigmoid().log()), abs=1e-5)
