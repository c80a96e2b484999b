"""MINE grids: Manifold Interpolated Neighbour Embedding (White 2016, section II.C and figure 4).

Encodings of held-out images are points of the manifold that a model has learned. The nearest of them to a seed are
embedded in two dimensions, laid on a grid, spread out, and what lies between is interpolated. Whoever makes one of the
neighbours the next seed walks over the manifold from image to image.
"""

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from sklearn.manifold import MDS
from torch import Tensor

from gen.errors import InputError
from gen.latent.interpolation import Interpolate, corners, slerp
from gen.metrics.neighbours import nearest


def neighbours(store: Float[Tensor, "n d"], seed: Float[Tensor, " d"], count: int) -> Int[Tensor, " count"]:
    """Which rows of the store are nearest to the seed, nearest first; exact, since all are looked at.

    A seed that is a row of the store comes first itself.

    Raises:
        InputError: the store has fewer rows, or vectors of another length.
    """
    if len(store) < count:
        raise InputError(f"{count} neighbours among {len(store)} encoded images; give more images, or a smaller grid")
    return nearest(seed[None], store, count).indices[0]


def embed(z: Float[Tensor, "n d"]) -> Float[Tensor, "n 2"]:
    """Two coordinates of each vector such that distances change as little as they may: metric scaling (SMACOF).

    It begins with classical scaling, so it is a function of the vectors; the first coordinate varies most.
    """
    distances = torch.cdist(z.double(), z.double(), compute_mode="donot_use_mm_for_euclid_dist")
    scale = distances.mean()
    if not scale > 0:  # all of them are one vector
        return z.new_zeros(len(z), 2, dtype=torch.float64)
    scaling = MDS(init="classical_mds", n_init=1, max_iter=1000, metric="precomputed", random_state=0)
    found = torch.from_numpy(scaling.fit_transform((distances / scale).cpu().numpy())) * scale.cpu()
    centred = found - found.mean(dim=0)
    turned: Tensor = centred @ torch.linalg.svd(centred, full_matrices=False).Vh.T
    return turned


def assign(places: Float[Tensor, "n 2"], rows: int, columns: int) -> Int[Tensor, "rows columns"]:
    """Which point stands in which cell of a grid: the assignment with the least sum of squared distances.

    Each coordinate is first brought to the deviation that the grid's cells have along it.

    Raises:
        InputError: there are not as many points as cells.
    """
    if len(places) != rows * columns:
        raise InputError(f"{len(places)} points for a grid of {rows} x {columns}; give one for each cell")
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    cells = _unit(torch.stack([across.flatten(), down.flatten()], dim=1).double())
    costs = torch.cdist(cells, _unit(places.double())).square()
    return torch.from_numpy(linear_sum_assignment(costs.numpy())[1]).reshape(rows, columns)


def arrange(z: Float[Tensor, "n d"], rows: int, columns: int) -> Int[Tensor, "rows columns"]:
    """Which vector stands in which cell of a grid, near ones side by side. Raises InputError as `assign` does."""
    return assign(embed(z), rows, columns)


def spread(
    cells: Float[Tensor, "rows columns d"], gap: int, between: Interpolate = slerp
) -> Float[Tensor, "tall wide d"]:
    """The grid with `gap` interpolated vectors between neighbours: side n becomes n + (n - 1) gap.

    Raises:
        InputError: fewer than two rows or columns, or as `between` does.
    """
    rows, columns = cells.shape[:2]
    if min(rows, columns) < 2:
        raise InputError(f"a grid of {rows} x {columns} cells has nothing between them; use at least 2 x 2")
    step = gap + 1
    found = cells.new_empty((rows - 1) * step + 1, (columns - 1) * step + 1, cells.shape[2])
    for row in range(rows - 1):
        for column in range(columns - 1):
            four = cells[row : row + 2, column : column + 2].flatten(0, 1)
            top, left = row * step, column * step
            found[top : top + step + 1, left : left + step + 1] = corners(four, step + 1, step + 1, between)
    return found


def _unit(places: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Mean 0 and deviation 1 of each coordinate that varies."""
    centred = places - places.mean(dim=0)
    return centred / centred.square().mean(dim=0).sqrt().clamp(min=1e-12)
