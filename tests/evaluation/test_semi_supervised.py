"""The protocol of few labels: its sets, its choice of C, and its results on digits as with LinearSVC."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from torch import Tensor

from gen.errors import InputError
from gen.evaluation.semi_supervised import (
    FULL,
    FULL_POOL,
    FULL_TEST,
    Labelled,
    Protocol,
    Rule,
    draw,
    error_percents,
    hold_out,
    nearest_neighbours,
    semi_supervised_svm,
)

TINY = Protocol(name="tiny", labelled=200, draws=20, validation=300, costs=25, neighbours=1, neighbour_draws=5)


RULES: list[Rule] = ["class_balanced", "at_random"]


@pytest.fixture(scope="module")
def digits() -> tuple[Labelled, Labelled, Labelled]:
    """Pool, validation and test rows of the 8x8 digits' pixels."""
    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    rows = Labelled(torch.from_numpy(pixels), torch.from_numpy(labels).long()).at(order)
    return *hold_out(rows.at(slice(1000)), TINY), rows.at(slice(1000, None))


def test_validation_rows_are_the_last() -> None:
    rows = Labelled(torch.arange(10.0)[:, None], torch.arange(10))
    pool, validation = hold_out(rows, TINY.model_copy(update={"validation": 3}))
    assert pool.labels.tolist() == list(range(7))
    assert validation.features[:, 0].tolist() == [7, 8, 9]
    with pytest.raises(InputError, match=r"^training: 10 rows; protocol 'tiny' needs more than 300 of them .* params"):
        hold_out(rows, TINY)


def test_balanced_sets_hold_each_class_alike() -> None:
    labels = torch.randint(10, (2000,), generator=torch.Generator().manual_seed(1))
    sets = draw(labels, 10, "class_balanced", TINY, seed=3)
    assert sets.shape == (21, 200)
    for rows in sets:
        assert torch.bincount(labels[rows]).tolist() == [20] * 10
        assert len(rows.unique()) == 200


def test_random_sets_are_the_pools_share_of_each_class() -> None:
    labels = torch.arange(1000) // 900  # nine tenths are class 0
    sets = draw(labels, 2, "at_random", TINY, seed=3)
    assert all(len(rows.unique()) == 200 for rows in sets)
    zeros = (labels[sets] == 0).sum(1)
    assert 175 < float(zeros.double().mean()) < 185
    assert len(zeros.unique()) > 1


@pytest.mark.parametrize("rule", RULES)
def test_sets_depend_on_seed_rule_and_number_alone(rule: Rule) -> None:
    labels = torch.arange(1000) % 10
    sets = draw(labels, 10, rule, TINY, seed=3)
    assert torch.equal(sets, draw(labels, 10, rule, TINY, seed=3))
    assert torch.equal(sets[:6], draw(labels, 10, rule, TINY.model_copy(update={"draws": 5}), seed=3))
    assert not torch.equal(sets, draw(labels, 10, rule, TINY, seed=4))
    assert len({tuple(rows.tolist()) for rows in sets}) == 21


def test_what_is_reduced() -> None:
    assert not FULL.reduced(FULL_POOL, FULL_TEST)
    assert FULL.reduced(FULL_POOL, FULL_TEST - 1)
    assert FULL.reduced(FULL_POOL - 1, FULL_TEST)
    for size in ("labelled", "draws", "validation", "costs"):
        assert FULL.model_copy(update={size: getattr(FULL, size) - 1}).reduced(63_257, 26_032), size
    assert not FULL.model_copy(update={"neighbours": 3, "neighbour_draws": 100}).reduced(63_257, 26_032)


@pytest.mark.parametrize("rule", RULES)
def test_the_protocol_on_digits_as_with_linear_svc(digits: tuple[Labelled, Labelled, Labelled], rule: Rule) -> None:
    pool, validation, test = digits
    result = semi_supervised_svm(pool, validation, test, 10, rule=rule, protocol=TINY)

    def errors(rows: Tensor, C: float, of: Labelled) -> float:
        svc = LinearSVC(C=C, tol=1e-6, max_iter=20_000, random_state=0).fit(*(p.numpy() for p in pool.at(rows)))
        return 100 * (1 - svc.score(of.features.numpy(), of.labels.numpy()))

    select, *draws = draw(pool.labels, 10, rule, TINY, seed=0)
    at_chosen = errors(select, result.cost, validation)
    assert result.validation_error_percent == pytest.approx(at_chosen, abs=0.1)
    # beyond, LinearSVC stops before the minimum
    others = torch.linspace(-20, 20, 25, dtype=torch.float64)
    assert at_chosen <= min(errors(select, math.exp(log_C), validation) for log_C in others if -13 < log_C < -4)
    theirs = torch.tensor([errors(rows, result.cost, test) for rows in draws])
    assert result.test_error.mean_percent == pytest.approx(float(theirs.mean()), abs=0.1)
    assert result.test_error.sd_percent == pytest.approx(float(theirs.std(correction=0)), abs=0.02)
    assert 3 < result.test_error.mean_percent < 12
    assert (result.protocol, result.reduced, result.rule, result.dimension) == ("tiny", True, rule, 64)
    assert (result.pool_rows, result.validation_rows, result.test_rows) == (700, 300, 797)
    assert (result.labelled, result.test_error.draws) == (200, 20)


def test_of_equal_costs_the_smallest_is_chosen() -> None:
    """Clouds so far apart that every C is right: then the first of all is taken."""
    labels = torch.arange(600) % 2
    rows = Labelled(torch.where(labels[:, None] == 0, -1.0, 1.0) + torch.zeros(1, 3), labels)
    protocol = TINY.model_copy(update={"labelled": 20, "draws": 2, "costs": 7})
    result = semi_supervised_svm(*hold_out(rows, protocol), rows, 2, rule="class_balanced", protocol=protocol)
    assert result.cost == pytest.approx(math.exp(-20))
    assert result.test_error.mean_percent == 0


def test_threads_change_nothing(digits: tuple[Labelled, Labelled, Labelled]) -> None:
    protocol = TINY.model_copy(update={"labelled": 100, "draws": 4, "costs": 6})
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(semi_supervised_svm(*digits, 10, rule="at_random", protocol=protocol))
            assert torch.get_num_threads() == count
            with ThreadPoolExecutor(1) as another:
                assert another.submit(torch.get_num_threads).result() == count
    finally:
        torch.set_num_threads(threads)
    assert results[0] == results[1]


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_are_scikit_learns(digits: tuple[Labelled, Labelled, Labelled], k: int) -> None:
    pool, _, test = digits
    protocol = TINY.model_copy(update={"neighbours": k})
    ours = nearest_neighbours(pool, test, 10, rule="class_balanced", protocol=protocol)
    _, *draws = draw(pool.labels, 10, "class_balanced", protocol, seed=0)
    theirs = []
    for rows in draws[:5]:
        known = KNeighborsClassifier(k).fit(*(p.numpy() for p in pool.at(rows)))
        theirs.append(100 * (1 - known.score(*(p.numpy() for p in test))))
    expected = torch.tensor(theirs)
    # distances of whole pixel values tie, and a tie may go either way
    assert ours.mean_percent == pytest.approx(float(expected.mean()), abs=0.1)
    assert ours.sd_percent == pytest.approx(float(expected.std(correction=0)), abs=0.03)
    assert ours.draws == 5


def test_error_percents() -> None:
    message = torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]])
    assert error_percents(message, torch.tensor([0, 1, 2, 2])) == [25, 75]


def test_bad_input_of_the_protocol(digits: tuple[Labelled, Labelled, Labelled]) -> None:
    pool, validation, test = digits

    def refused(
        message: str, pool: Labelled = pool, test: Labelled = test, rule: Rule = "at_random", **sizes: int
    ) -> None:
        protocol = TINY.model_copy(update=sizes)
        with pytest.raises(InputError, match=message) as raised:
            semi_supervised_svm(pool, validation, test, 10, rule=rule, protocol=protocol)
        assert "\n" not in str(raised.value)

    remedy = "give more, or give params a protocol of its own name and size$"
    refused(f"^pool: 700 rows; protocol 'tiny' needs 701: {remedy}", labelled=701)
    refused(f"^pool: 700 rows; protocol 'full' needs {FULL_POOL}: {remedy}", name="full")
    refused(f"^validation: 300 rows; protocol 'tiny' needs exactly 10000: {remedy}", validation=10_000)
    refused(
        rf"^pool, class \d: \d+ rows; protocol 'tiny' needs 70 of each class: {remedy}",
        rule="class_balanced",
        labelled=700,
    )
    refused(
        "^protocol tiny: labelled: 201 is no multiple of 10 classes; take 200$", rule="class_balanced", labelled=201
    )
    narrow = Labelled(test.features[:, 1:], test.labels)
    refused("^test: 63 features; the pool has 64: use one model for all$", test=narrow)
    bad = test.features.clone()
    bad[3, 0] = math.nan
    refused("^test: row 3 is not finite", test=Labelled(bad, test.labels))
    refused(
        "^pool: labels from -1 to 9; expected 0 to 9$",
        pool=Labelled(pool.features, torch.where(pool.labels == 0, -1, pool.labels)),
    )
    with pytest.raises(InputError, match=r"^protocol tiny: neighbours: 201, of 200 labelled rows$"):
        nearest_neighbours(pool, test, 10, rule="at_random", protocol=TINY.model_copy(update={"neighbours": 201}))
