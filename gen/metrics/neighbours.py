"""Nearest neighbours by Euclidean distance, in blocks: of samples among training images (is a model memorising?).

Products of matrices find who may be near: fast, but with rounding in proportion to the norms. Of points a tree finds
them, which looks at few. Distances of those are then taken from the differences themselves, so equal rows are at
distance 0 and blocks of any size say the same. Where more rows remain in question than that, as many copies of one row
do, differences are taken of all.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int, Num
from scipy.spatial import KDTree
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import CHUNK, check_features, check_positive, rounding

BLOCK = 1024
SPARE = 8
"""Candidates beyond k, for those that rounding has put in the wrong order."""
POINTS = 3
"""Most coordinates of rows that a tree is built of: with more of them it soon looks at all."""
AT_ONCE = 64
"""Queries whose candidates are looked at together."""


class Neighbours(NamedTuple):
    """The nearest rows of the base, nearest first."""

    indices: Int[Tensor, "n k"]
    distances: Float64[Tensor, "n k"]


class Products(NamedTuple):
    """Squared distances from products of matrices, and a bound on what rounding did to them."""

    squared: Float64[Tensor, "n m"]
    error: Float64[Tensor, ""]


def nearest(queries: Num[Tensor, "n d"], base: Num[Tensor, "m width"], k: int = 1, block: int = BLOCK) -> Neighbours:
    """The k rows of `base` nearest to each query, and how far they are; of equally near ones, those that come first.

    Rows are features or flattened pixels, bytes too; memory beyond theirs depends on `block` and d, not their number.

    Raises:
        InputError: base smaller than k, different widths, values that are not finite, or no queries.
    """
    check_positive(k=k, block=block)
    check_features(queries, "queries", least=1)
    check_features(base, "base", least=k)
    if queries.shape[1] != base.shape[1]:
        raise InputError(f"queries: width {queries.shape[1]}, the base has {base.shape[1]}; use one extractor")
    centre = centre_of(base)
    tree = KDTree(base.double().cpu().numpy()) if base.shape[1] <= POINTS else None
    found = []
    for rows in torch.split(queries, block):
        candidates, sure = _by_tree(rows, tree, k) if tree else _candidates(rows, base, centre, k, block)
        found.append(_among(rows, candidates, base, k))
        if not bool(sure.all()):
            found[-1].indices[~sure], found[-1].distances[~sure] = _among_all(rows[~sure], base, k, block)
    return Neighbours(torch.cat([part.indices for part in found]), torch.cat([part.distances for part in found]))


def closest(
    queries: Num[Tensor, "n d"], base: Num[Tensor, "m width"], rows: int, k: int
) -> tuple[Int[Tensor, " rows"], Int[Tensor, "rows k"]]:
    """Which queries are nearest to any row of the base, at most `rows` of them, nearest first; and their k nearest.

    Raises:
        InputError: as `nearest` does.
    """
    found = nearest(queries, base, k)
    chosen = found.distances[:, 0].argsort(stable=True)[:rows]
    return chosen, found.indices[chosen]


def centre_of(rows: Num[Tensor, "n d"]) -> Float64[Tensor, " d"]:
    """Their mean, without a float64 copy of them all."""
    return torch.stack([part.double().sum(dim=0) for part in torch.split(rows, CHUNK)]).sum(dim=0) / len(rows)


def products(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> Products:
    """|x|^2 + |y|^2 - 2 x.y. The error is small when both have been centred."""
    x2, y2 = x.square().sum(dim=1), y.square().sum(dim=1)
    squared = torch.addmm(x2[:, None] + y2, x, y.T, alpha=-2)
    return Products(squared, 4 * rounding(x.shape[1] + 4) * (x2.max() + y2.max()))


def differences(x: Float64[Tensor, "... n d"], y: Float64[Tensor, "... m d"]) -> Float64[Tensor, "... n m"]:
    """Distances from the differences of coordinates: equal rows are at 0, and a pair's distance is always the same."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def spans(total: int, block: int) -> Iterator[slice]:
    """Consecutive slices of at most `block` rows."""
    return (slice(start, min(start + block, total)) for start in range(0, total, block))


def _by_tree(queries: Num[Tensor, "n d"], tree: KDTree, k: int) -> tuple[Int[Tensor, "n c"], Bool[Tensor, " n"]]:
    """What `_candidates` says, by a tree of the base's rows."""
    wanted = min(k + SPARE, tree.n)
    distances, indices = tree.query(queries.double().cpu().numpy(), range(1, wanted + 1))
    sure = (distances[:, -1] > distances[:, k - 1] * (1 + 1e-12)) | (wanted == tree.n)
    found = torch.from_numpy(indices).to(queries.device)
    return found.sort(dim=1).values, torch.from_numpy(sure).to(queries.device)


def _candidates(
    queries: Num[Tensor, "n d"], base: Num[Tensor, "m d"], centre: Float64[Tensor, " d"], k: int, block: int
) -> tuple[Int[Tensor, "n c"], Bool[Tensor, " n"]]:
    """Rows of the base that may be the nearest, and for which queries all that may be are among them."""
    x = queries.double() - centre
    best, error = x.new_empty(len(x), 0), x.new_zeros(())
    indices = torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for columns in spans(len(base), block):
        squared, rounded = products(x, base[columns].double() - centre)
        error = torch.maximum(error, rounded)
        near, chosen = squared.topk(min(k + SPARE, squared.shape[1]), largest=False)
        best, indices = torch.cat([best, near], dim=1), torch.cat([indices, chosen + columns.start], dim=1)
        best, chosen = best.topk(min(k + SPARE, best.shape[1]), largest=False)
        indices = indices.gather(1, chosen)
    sure = (best[:, -1] - best[:, k - 1] > 2 * error) | (best.shape[1] == len(base))
    return indices.sort(dim=1).values, sure


def _among(queries: Num[Tensor, "n d"], candidates: Int[Tensor, "n c"], base: Num[Tensor, "m d"], k: int) -> Neighbours:
    """The k nearest of each query's candidates, which stand in the order of the base."""
    distances = torch.cat(
        [
            differences(queries[rows].double()[:, None], base[candidates[rows]].double())[:, 0]
            for rows in spans(len(queries), AT_ONCE)
        ]
    )
    order = distances.argsort(dim=1, stable=True)[:, :k]
    return Neighbours(candidates.gather(1, order), distances.gather(1, order))


def _among_all(queries: Num[Tensor, "n d"], base: Num[Tensor, "m d"], k: int, block: int) -> Neighbours:
    """The k nearest of all rows, by differences alone: slow, until all queries have found k copies of themselves."""
    x = queries.double()
    best = x.new_empty(len(x), 0)
    indices = torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for columns in spans(len(base), block):
        numbers = torch.arange(columns.start, columns.stop, device=x.device).expand(len(x), -1)
        best = torch.cat([best, differences(x, base[columns].double())], dim=1)
        order = best.argsort(dim=1, stable=True)[:, :k]
        best, indices = best.gather(1, order), torch.cat([indices, numbers], dim=1).gather(1, order)
        if best.shape[1] == k and not bool(best.any()):
            break
    return Neighbours(indices, best)
