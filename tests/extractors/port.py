"""The published port of the FID Inception (torch-fidelity), from a folder of its own: installed, torchmetrics breaks.

    python -m tests.extractors.port <folder> <weights> <images> <output>

runs it on a list of image tensors, and saves what it says of each: so nothing of it enters the process that tests.
"""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gen.extractors.inception import Inception

PACKAGE = "torch-fidelity==0.4.0"
FEATURES = ["2048", "logits_unbiased", "logits"]


def install(folder: Path) -> None:
    """Raises CalledProcessError where no package index can be reached."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    subprocess.run([*pip, "--no-deps", "--target", folder, PACKAGE], check=True, capture_output=True)


def port(folder: Path, module: str) -> Any:
    """One module of the package. The package's own __init__, which wants torchvision, is not run."""
    package = types.ModuleType("torch_fidelity")
    package.__path__ = [str(folder / "torch_fidelity")]
    sys.modules["torch_fidelity"] = package
    return __import__(f"torch_fidelity.{module}", fromlist=["_"])


def network(folder: Path, weights: Path) -> Any:
    extractor = port(folder, "feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    return extractor("inception", FEATURES, feature_extractor_weights_path=str(weights))


def random_weights() -> dict[str, Tensor]:
    """Such that signals neither vanish nor explode, and every batch norm does something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Inception()
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
                nn.init.normal_(module.running_mean, 0, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.state_dict()


def main(folder: Path, weights: Path, images: Path, output: Path) -> None:
    extract = network(folder, weights)
    resize = port(folder, "interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
    message = []
    for batch in torch.load(images):
        resized = resize(batch.float(), size=(299, 299), align_corners=False)
        message.append((resized, *(extract(batch) if batch.shape[1] == 3 else ())))
    torch.save(message, output)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
