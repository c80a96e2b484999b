"""The Frechet distance against closed forms, torchmetrics and an exact route in the samples' own span."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from gen.errors import InputError
from gen.metrics.frechet import Frechet, frechet_distance
from gen.metrics.moments import Moments, gather, moments


def gaussian(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(10**6, mean.double(), covariance.double())


def of(features: Tensor) -> Moments:
    return moments(gather(features))


def draw(rows: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    """Correlated features: every one leans on the one before it."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((rows, width))
    return torch.from_numpy(own + shift + 0.7 * np.roll(own, 1, axis=1) * rng.uniform(0.5, 1.5, width))


def rotation(width: int) -> Tensor:
    return torch.from_numpy(scipy.linalg.qr(np.random.default_rng(5).standard_normal((width, width)))[0])


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """1797 images of 8x8 in [0, 16] as rows of pixels, of which three are the same in all images."""
    return torch.from_numpy(load_digits().data)


def test_one_dimension() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2 = 9 + 4."""
    one, other = (gaussian(torch.tensor([m]), torch.tensor([[s * s]])) for m, s in ((1.0, 3.0), (4.0, 5.0)))
    assert frechet_distance(one, other) == Frechet(pytest.approx(13, rel=1e-8), False)


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_covariances_that_commute(spread: float) -> None:
    """sum (sqrt a - sqrt b)^2 over their eigenvalues, in any basis they share; `spread` is one over the condition."""
    width = 40
    a = torch.logspace(0, np.log10(spread), width, dtype=torch.float64)
    b = (a * 2).roll(1)
    mean = torch.linspace(-1, 1, width, dtype=torch.float64)
    expected = float(mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    for Q in (torch.eye(width, dtype=torch.float64), rotation(width)):
        one = gaussian(torch.zeros(width), Q @ a.diag() @ Q.T)
        other = gaussian(mean, Q @ b.diag() @ Q.T)
        for found in (frechet_distance(one, other), frechet_distance(other, one)):
            assert found == Frechet(pytest.approx(expected, rel=1e-8), False)


def test_variances_of_very_different_size_are_not_singular() -> None:
    one = gaussian(torch.zeros(2), torch.tensor([1e10, 1.0]).diag())
    other = gaussian(torch.zeros(2), torch.tensor([1e10, 4.0]).diag())
    assert frechet_distance(one, other) == Frechet(pytest.approx(1, rel=1e-5), False)


def test_covariances_that_do_not_commute() -> None:
    """Of 2x2 matrices Tr (S1 S2)^(1/2) = sqrt(Tr S1 S2 + 2 sqrt(det S1 S2)): here Tr = 8, det = 3 * 3."""
    one = gaussian(torch.zeros(2), torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    other = gaussian(torch.zeros(2), torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    assert frechet_distance(one, other).distance == pytest.approx(8 - 2 * (8 + 2 * 3) ** 0.5, rel=1e-12)


class Given(nn.Module):
    """A feature extractor whose images are features already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


@pytest.mark.parametrize("width", [3, 64])
def test_torchmetrics_finds_the_same(width: int) -> None:
    real, generated = draw(400, width, seed=1), draw(300, width, seed=2, shift=0.3)
    theirs = FrechetInceptionDistance(feature=Given(width))
    theirs.update(real, real=True)
    theirs.update(generated, real=False)
    assert frechet_distance(of(real), of(generated)).distance == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_scipy_s_matrix_root_finds_the_same() -> None:
    real, generated = of(draw(400, 50, seed=1)), of(draw(300, 50, seed=2, shift=0.3))
    root = scipy.linalg.sqrtm((real.covariance @ generated.covariance).numpy())
    expected = (
        (real.mean - generated.mean).square().sum() + real.covariance.trace() + generated.covariance.trace()
    ) - 2 * np.trace(root).real
    assert frechet_distance(real, generated).distance == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize(("rows", "singular"), [(400, False), (64, True), (10, True)])
def test_zero_against_itself(rows: int, singular: bool) -> None:
    found = of(draw(rows, 64, seed=3))
    distance, flag = frechet_distance(found, found)
    assert abs(distance) < 1e-12 * float(found.covariance.trace())
    assert flag == singular


def test_features_of_very_different_size() -> None:
    """Variances over twelve orders, whose products go over twenty-four: more than float64 has."""
    scales = torch.logspace(0, 6, 20, dtype=torch.float64)
    one, other = (draw(400, 20, seed) * scales for seed in (1, 2))
    own = frechet_distance(of(one), of(one))
    assert abs(own.distance) < 1e-14 * float(of(one).covariance.trace())
    assert not own.singular
    there, back = frechet_distance(of(one), of(other)), frechet_distance(of(other), of(one))
    assert there.distance == pytest.approx(back.distance, rel=1e-11)


@pytest.mark.parametrize(("rows", "others"), [(400, 300), (400, 20), (30, 20), (2, 2)])
def test_symmetric(rows: int, others: int) -> None:
    one, other = of(draw(rows, 64, seed=1)), of(draw(others, 64, seed=2))
    assert frechet_distance(one, other).distance == pytest.approx(frechet_distance(other, one).distance, rel=1e-11)


@pytest.mark.parametrize(("rows", "others"), [(20, 20), (15, 40), (500, 20), (2, 500), (64, 65)])
def test_fewer_samples_than_features(rows: int, others: int) -> None:
    """Tr (S1 S2)^(1/2) is the sum of the singular values of X Y^T, X and Y the centred samples over sqrt(n - 1)."""
    real, generated = draw(rows, 64, seed=1), draw(others, 64, seed=2, shift=0.5)
    X, Y = ((x - x.mean(dim=0)).numpy() / np.sqrt(len(x) - 1) for x in (real, generated))
    root = np.linalg.svd(X @ Y.T, compute_uv=False).sum()
    shift = (real.mean(dim=0) - generated.mean(dim=0)).square().sum()
    expected = float(shift) + np.square(X).sum() + np.square(Y).sum() - 2 * root
    assert frechet_distance(of(real), of(generated)) == Frechet(pytest.approx(expected, rel=1e-8), True)


@pytest.mark.parametrize("extra", ["constant", "copy", "sum"])
def test_features_that_depend_on_each_other(extra: str) -> None:
    """A constant adds nothing; a linear map M of both sets is undone exactly in the span of its image."""
    sets = [draw(500, 6, seed=1), draw(400, 6, seed=2, shift=0.4)]
    columns = {"constant": torch.zeros(6), "copy": torch.eye(6)[2], "sum": torch.ones(6)}[extra].double()
    M = torch.cat([torch.eye(6, dtype=torch.float64), columns[:, None]], dim=1)
    Q, R = torch.linalg.qr(M.T)  # x M is x R^T in the orthonormal basis Q of the span
    dependent = frechet_distance(*(of(rows @ M + 0.1) for rows in sets))
    independent = frechet_distance(*(of(rows @ R.T) for rows in sets))
    assert Q.shape == (7, 6)
    assert dependent.singular
    assert not independent.singular
    assert dependent.distance == pytest.approx(independent.distance, rel=1e-8)


def test_a_generator_that_makes_one_image(digits: Tensor) -> None:
    """No spread at all: the squared distance of the means, and the other's trace."""
    real, collapsed = of(digits), of(digits[:1].repeat(100, 1))
    expected = float((real.mean - digits[0]).square().sum() + real.covariance.trace())
    assert frechet_distance(real, collapsed) == Frechet(pytest.approx(expected, rel=1e-12), True)
    assert frechet_distance(collapsed, collapsed) == (0, True)


def test_digits_with_constant_pixels(digits: Tensor) -> None:
    """Without the pixels that never change, the distance is the same, and no longer flagged."""
    even, odd = digits[::2], digits[1::2]
    changing = (even.std(dim=0) > 0) & (odd.std(dim=0) > 0)
    whole, kept = frechet_distance(of(even), of(odd)), frechet_distance(of(even[:, changing]), of(odd[:, changing]))
    lone = (of(even).covariance.diagonal() + of(odd).covariance.diagonal())[~changing].sum()
    means = (of(even).mean - of(odd).mean)[~changing].square().sum()
    assert whole.singular
    assert not kept.singular
    assert whole.distance == pytest.approx(kept.distance + float(lone + means), rel=1e-8)


def test_it_grows_with_noise(digits: Tensor) -> None:
    noise = torch.randn(digits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert grows([of(digits + level * noise) for level in (0, 0.5, 1, 2, 4, 8)], of(digits))


def test_it_grows_with_blur(digits: Tensor) -> None:
    images = digits.reshape(-1, 8, 8).numpy()
    blurred = [scipy.ndimage.gaussian_filter(images, (0, s, s)) for s in (0, 0.3, 0.5, 0.8, 1.2, 2)]
    assert grows([of(torch.from_numpy(x).reshape(-1, 64)) for x in blurred], of(digits))


def test_it_grows_with_missing_modes(digits: Tensor) -> None:
    labels = torch.from_numpy(load_digits().target)
    assert grows([of(digits[labels < classes]) for classes in (10, 8, 6, 4, 2, 1)], of(digits))


def grows(worse: list[Moments], reference: Moments) -> bool:
    distances = [frechet_distance(reference, found).distance for found in worse]
    return abs(distances[0]) < 1e-9 and all(b > a + 1e-3 for a, b in itertools.pairwise(distances))


SOUND = gaussian(torch.zeros(2), torch.eye(2))
NAN = torch.tensor([0.0, float("nan")])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (gaussian(torch.zeros(3), torch.eye(3)), "width 3, the real ones have 2"),
        (SOUND._replace(samples=1), "of 1 samples; at least 2"),
        (SOUND._replace(covariance=torch.eye(3).double()), r"shape \(3, 3\); it is \(2, 2\)"),
        (gaussian(NAN, torch.eye(2)), "not finite"),
        (gaussian(torch.zeros(2), NAN.diag()), "not finite"),
        (gaussian(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.2, 1.0]])), "not symmetric"),
        (gaussian(torch.zeros(2), -torch.eye(2)), "variances >= 0"),
        (gaussian(torch.zeros(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])), "eigenvalue of the correlations is -1"),
    ],
)
def test_moments_of_no_samples(broken: Moments, message: str) -> None:
    with pytest.raises(InputError, match=message):
        frechet_distance(SOUND, broken)
