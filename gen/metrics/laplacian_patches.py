"""Sliced Wasserstein distance of patches of a Laplacian pyramid (Karras, Aila, Laine & Lehtinen 2018, section 5).

Each level of the pyramid has the details of one scale, the last one all that is coarser. The distance at 16x16 thus
says whether the large structures of samples are those of real images, the one at the finest level whether the fine ones
are. By the published code: 128 patches of 7x7 from random places of each image and level, each channel with mean 0 and
deviation 1 over all patches, 4 x 128 random directions, the mean of the distances along them, and times 1,000.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gen.errors import InputError
from gen.family import seed_of

COARSEST = 16
"""Side of the pyramid's last level."""
PATCH, PATCHES = 7, 128
"""Side of a patch, and how many each image gives at each level."""
REPEATS, DIRECTIONS = 4, 128
SCALE = 1e3
"""Distances are reported times this."""
AT_ONCE = 256
"""Images whose pyramids are in memory together; 8,192 of each set in the paper."""


def patch_distances(
    real: Float[Tensor, "n c h w"], generated: Float[Tensor, "m channels height width"], seed: int = 0
) -> dict[int, float]:
    """The distance of as many samples as real images at each level, by the level's side; small is better.

    Raises:
        InputError: images are no squares of 16 pixels or more, doubled some times, or the sets differ in size.
    """
    if real.shape != generated.shape or not len(real):
        raise InputError(f"real images {tuple(real.shape)}, samples {tuple(generated.shape)}: give as many of one size")
    sides = sides_of(real)
    found = {}
    sets = [descriptors(images, seed, name) for name, images in (("real", real), ("generated", generated))]
    for level, (side, one, other) in enumerate(zip(sides, *sets, strict=True)):
        generator = torch.Generator().manual_seed(seed_of(seed, "directions", level))
        found[side] = SCALE * sliced_distance(one, other, generator)
    return found


def sides_of(images: Float[Tensor, "n c h w"]) -> list[int]:
    """Of the pyramid's levels, from the finest. Raises InputError."""
    height, width = images.shape[2:]
    halvings = max(0, (height // COARSEST).bit_length() - 1)
    if height != width or height != COARSEST << halvings:
        message = f"a pyramid is of squares of {COARSEST}, {2 * COARSEST}, {4 * COARSEST}, ... pixels"
        raise InputError(f"images of {height}x{width}: {message}")
    return [height >> level for level in range(halvings + 1)]


def descriptors(images: Float[Tensor, "n c h w"], seed: int, name: str) -> list[Float[Tensor, "patches d"]]:
    """Normalised patches of each level; `name` tells apart the random places of the sets that are compared."""
    levels = len(sides_of(images))
    places = torch.Generator().manual_seed(seed_of(seed, "places", name))
    found: list[list[Tensor]] = [[] for _ in range(levels)]
    for some in torch.split(images, AT_ONCE):
        for level, details in enumerate(pyramid(some, levels)):
            found[level].append(patches(details, places))
    return [_normalised(torch.cat(each)) for each in found]


def pyramid(images: Float[Tensor, "n c h w"], levels: int) -> list[Tensor]:
    """The details of each level (Burt & Adelson 1983): images less what is left of them at half their side."""
    found = [images]
    for _ in range(levels - 1):
        found.append(halved(found[-1]))
        found[-2] = found[-2] - doubled(found[-1])
    return found


def halved(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c height width"]:
    """Every second pixel of the blurred images."""
    return _blurred(images)[:, :, ::2, ::2]


def doubled(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c height width"]:
    """Blurred images of twice the side, with every second pixel 0 before."""
    n, c, h, w = images.shape
    wide = images.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = images
    return 4 * _blurred(wide)


def _blurred(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """By the binomial filter of five pixels, the image mirrored at its edge."""
    line = images.new_tensor([1, 4, 6, 4, 1]) / 16
    flat = pad(images.flatten(0, 1)[:, None], (2, 2, 2, 2), mode="reflect")
    return conv2d(flat, torch.outer(line, line)[None, None])[:, 0].view(images.shape)


def patches(images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "patches c 7 7"]:
    """From random places that lie whole within each image."""
    n, c, h, w = images.shape
    image = torch.arange(n).repeat_interleave(PATCHES)[:, None, None, None]
    top, left = (torch.randint(side - PATCH + 1, (n * PATCHES, 1, 1, 1), generator=generator) for side in (h, w))
    line = torch.arange(PATCH)
    return images[image, torch.arange(c)[:, None, None], top + line[:, None], left + line]


def _normalised(found: Float[Tensor, "patches c 7 7"]) -> Float[Tensor, "patches d"]:
    """Each channel with mean 0 and deviation 1; one that is the same everywhere is 0."""
    centred = found - found.mean(dim=(0, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
    return (centred / deviation.clamp_min(torch.finfo(found.dtype).tiny)).flatten(1)


def sliced_distance(one: Float[Tensor, "n d"], other: Float[Tensor, "n d"], generator: torch.Generator) -> float:
    """Mean over random directions of the 1-Wasserstein distances of what both sets are along them."""
    found = []
    for _ in range(REPEATS):
        along = torch.randn(one.shape[1], DIRECTIONS, generator=generator, dtype=torch.float64)
        along = (along / along.norm(dim=0)).to(one.device, one.dtype)
        # A direction is a row: sorting columns takes three times as long.
        sorts = [(along.T @ each.T).sort(dim=1).values for each in (one, other)]
        found.append((sorts[0] - sorts[1]).abs().mean())
    return float(torch.stack(found).mean())
