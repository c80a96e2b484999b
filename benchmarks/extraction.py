"""The FID Inception against its published port (torch-fidelity): images/s in float32 and bfloat16, and what that costs.

    [GEN_INCEPTION=/path/to/pt_inception-2015-12-05-6726825d.pth] python -m benchmarks.extraction

Networks get images that have the right size already; resizing from 32x32 is timed by itself. Without the weight file
the weights are random: as fast, but then the FIDs are no FIDs, and only their relative error says something. These are
of digits of the validation split against those of the test split, and against the same with a little noise:
all in float32, all in bfloat16, and of a float32 reference with bfloat16 samples. The port comes from a package index.
"""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import report, spread
from gen.data.fetch import fetch
from gen.data.prepare import prepare
from gen.extractors.inception import Inception, fuse, load_inception
from gen.extractors.resize import bilinear
from tests.extractors import port

BATCH = 32
REPEATS = 12
IMAGES = 200
DIGITS = {"source": "digits", "resolution": 16, "validation": IMAGES, "test": IMAGES}

Features = Callable[[Tensor], Tensor]


def own(weights: Path, published: bool, dtype: torch.dtype) -> Features:
    """Pooled features of float images in [0, 255]."""
    if published:
        network = load_inception(weights, dtype)
    else:
        network = Inception()
        network.load_state_dict(torch.load(weights, weights_only=True))
        fuse(network, dtype)
    return lambda images: network(images).pooled


def theirs(folder: Path, weights: Path) -> Features:
    """The port's, of uint8 images; its resize is left out."""
    network = port.network(folder, weights)
    module = port.port(folder, "feature_extractor_inceptionv3")
    module.interpolate_bilinear_2d_like_tensorflow1x = lambda images, **_: images

    def pooled(images: Tensor) -> Tensor:
        features: Tensor = network(images)[0]
        return features

    return pooled


def rates(contestants: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Images/s of each, in turns, so that a busy machine is busy for all of them."""
    names = list(contestants)
    for warm in contestants.values():
        warm()
    found: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(REPEATS):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            begin = time.perf_counter()
            contestants[name]()
            found[name].append(BATCH / (time.perf_counter() - begin))
    return found


def ratios(found: dict[str, list[float]], fast: str) -> dict[str, float]:
    return spread([a / b for a, b in zip(found[fast], found["port"], strict=True)], 2)


def difference(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm."""
    return float((found - expected).norm() / expected.norm())


def fid(real: Tensor, generated: Tensor) -> float:
    """Of few samples: their centred rows are factors of the covariances, so no 2048x2048 matrix is needed."""
    x, y = real.double(), generated.double()
    A, B = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    cross = torch.linalg.matrix_norm(A @ B.T, "nuc")
    return float((x.mean(0) - y.mean(0)).square().sum() + A.square().sum() + B.square().sum() - 2 * cross)


def digits(folder: Path) -> dict[str, Tensor]:
    """Two splits of real digits, and the second with noise of three grey levels."""
    fetch("digits", DIGITS, "digits", folder / "raw", mirror=None)
    dataset = prepare("digits", DIGITS, "digits", folder / "raw", folder / "digits")
    real, others = (torch.from_numpy(dataset.read(split).images) for split in ("validation", "test"))
    noise = 3 * torch.randn(others.shape, generator=torch.Generator().manual_seed(0))
    return {"real": real, "others": others, "noisy": (others + noise).round().clamp(0, 255).byte()}


def fid_errors(exact: Features, half: Features, folder: Path) -> dict[str, Any]:
    """FIDs in float32, and by how much bfloat16 changes them, relatively."""
    images = digits(folder)
    features = {
        kind: {
            name: torch.cat([extract(bilinear(part)) for part in torch.split(sets, BATCH)])
            for name, sets in images.items()
        }
        for kind, extract in {"exact": exact, "half": half}.items()
    }
    found = {}
    for name in ("others", "noisy"):
        true = fid(features["exact"]["real"], features["exact"][name])
        alike = fid(features["half"]["real"], features["half"][name])
        mixed = fid(features["exact"]["real"], features["half"][name])
        found[name] = {
            "FID in float32": round(true, 4),
            "relative error, all in bfloat16": round(alike / true - 1, 5),
            "relative error, reference in float32": round(mixed / true - 1, 5),
        }
    return {"images in each set": len(images["real"]), **found}


@torch.inference_mode()
def main() -> None:
    pixels = torch.randint(0, 256, (BATCH, 3, 299, 299), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, small = pixels.float(), pixels[:, :, :32, :32].contiguous()
    published = os.environ.get("GEN_INCEPTION")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        port.install(folder)
        weights = Path(published or folder / "random.pth")
        if not published:
            torch.save(port.random_weights(), weights)
        reference = theirs(folder, weights)
        exact, half = (own(weights, published is not None, dtype) for dtype in (torch.float32, torch.bfloat16))
        resize = port.port(folder, "interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
        off = {"float32": difference(exact(images), reference(pixels))}
        off["bfloat16"] = difference(half(images), reference(pixels))
        assert off["float32"] < 1e-4, f"other features than the port's: {off}"
        networks = rates(
            {"port": lambda: reference(pixels), "float32": lambda: exact(images), "bfloat16": lambda: half(images)}
        )
        resizers = rates(
            {
                "port": lambda: resize(small.float(), size=(299, 299), align_corners=False),
                "bilinear": lambda: bilinear(small),
            }
        )
        errors = fid_errors(exact, half, folder)
    figures = {
        "ratio in float32 (wanted: 1.5)": ratios(networks, "float32"),
        "ratio in bfloat16 (wanted: 3)": ratios(networks, "bfloat16"),
        "images/s": {name: spread(found, 1) for name, found in networks.items()},
        "ratio of resizing": ratios(resizers, "bilinear"),
        "resizing images/s": {name: spread(found, 0) for name, found in resizers.items()},
        "relative difference of features from the port's": {name: float(f"{error:.1e}") for name, error in off.items()},
        "FID of digits" if published else "FID of digits (random weights: no FID)": errors,
        "weights": "published" if published else "random",
        "batch_size": BATCH,
        "threads": torch.get_num_threads(),
        "port": port.PACKAGE,
    }
    report("extraction", figures, ["torch", "numpy"])


if __name__ == "__main__":
    main()
