"""The FID Inception of 2015-12-05: the network whose 2048 features FID, KID and precision/recall are published with.

Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015, as frozen in TensorFlow's graph
classify_image_graph_def.pb and used by Heusel et al., "GANs trained by a two time-scale update rule converge to a local
Nash equilibrium", 2017. It differs from the Inception v3 of other libraries: average pooling does not count its
padding, the last block pools by maximum, and there are 1008 classes. Learned from the port in torch-fidelity (Obukhov
et al.), against which the tests hold it; the parameters bear the names of the published weight file.

Every layer works on one image at a time, so features do not depend on how images are batched, except for the rounding
of sums: within 1e-5 relative in float32. On CPUs batches of 16 or more are the fastest.
"""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gen.errors import InputError
from gen.shapes import shapes_only

WEIGHTS_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
)
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
WEIGHTS_BYTES = 95_628_359


class Features(NamedTuple):
    """What the network says of images: float32, whatever it computes in."""

    pooled: Float[Tensor, "n 2048"]
    """The mean of the last block over its 8x8 positions: what FID, KID and precision/recall look at."""
    logits: Float[Tensor, "n 1008"]
    """Of the classes."""
    unbiased_logits: Float[Tensor, "n 1008"]
    """Without the bias of the last layer, as the published Inception score (Salimans et al. 2016) takes them."""


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU. `same` pads so that the image keeps its size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, *, same: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Maps of at least 0."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Make batch norm, with the statistics it has, part of the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = nn.utils.fuse_conv_bn_eval(self.conv, self.bn)
            self.bn = nn.Identity()


class A(nn.Module):
    """35x35 positions."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 64, (1, 1))
        self.branch5x5_1 = Convolution(inputs, 48, (1, 1))
        self.branch5x5_2 = Convolution(48, 64, (5, 5))
        self.branch3x3dbl_1 = Convolution(inputs, 64, (1, 1))
        self.branch3x3dbl_2 = Convolution(64, 96, (3, 3))
        self.branch3x3dbl_3 = Convolution(96, 96, (3, 3))
        self.branch_pool = Convolution(inputs, pooled, (1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """The branches' maps, one after another."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], dim=1)


class B(nn.Module):
    """From 35x35 to 17x17 positions."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, (3, 3), stride=2, same=False)
        self.branch3x3dbl_1 = Convolution(inputs, 64, (1, 1))
        self.branch3x3dbl_2 = Convolution(64, 96, (3, 3))
        self.branch3x3dbl_3 = Convolution(96, 96, (3, 3), stride=2, same=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """The branches' maps, one after another."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, 2)], dim=1)


class C(nn.Module):
    """17x17 positions; 7x7 kernels as rows and columns."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 192, (1, 1))
        self.branch7x7_1 = Convolution(inputs, width, (1, 1))
        self.branch7x7_2 = Convolution(width, width, (1, 7))
        self.branch7x7_3 = Convolution(width, 192, (7, 1))
        self.branch7x7dbl_1 = Convolution(inputs, width, (1, 1))
        self.branch7x7dbl_2 = Convolution(width, width, (7, 1))
        self.branch7x7dbl_3 = Convolution(width, width, (1, 7))
        self.branch7x7dbl_4 = Convolution(width, width, (7, 1))
        self.branch7x7dbl_5 = Convolution(width, 192, (1, 7))
        self.branch_pool = Convolution(inputs, 192, (1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """The branches' maps, one after another."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], dim=1)


class D(nn.Module):
    """From 17x17 to 8x8 positions."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(inputs, 192, (1, 1))
        self.branch3x3_2 = Convolution(192, 320, (3, 3), stride=2, same=False)
        self.branch7x7x3_1 = Convolution(inputs, 192, (1, 1))
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1))
        self.branch7x7x3_4 = Convolution(192, 192, (3, 3), stride=2, same=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """The branches' maps, one after another."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, functional.max_pool2d(x, 3, 2)], dim=1)


class E(nn.Module):
    """8x8 positions; two branches end in a row and a column side by side."""

    def __init__(self, inputs: int, *, pool_by_maximum: bool) -> None:
        super().__init__()
        self.pool_by_maximum = pool_by_maximum
        self.branch1x1 = Convolution(inputs, 320, (1, 1))
        self.branch3x3_1 = Convolution(inputs, 384, (1, 1))
        self.branch3x3_2a = Convolution(384, 384, (1, 3))
        self.branch3x3_2b = Convolution(384, 384, (3, 1))
        self.branch3x3dbl_1 = Convolution(inputs, 448, (1, 1))
        self.branch3x3dbl_2 = Convolution(448, 384, (3, 3))
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1))
        self.branch_pool = Convolution(inputs, 192, (1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """The branches' maps, one after another."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, 1, 1) if self.pool_by_maximum else _average(x)
        maps = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        maps += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(maps, dim=1)


class Inception(nn.Module):
    """The whole network, with the parameters of the published file; `fuse` makes it fast."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), stride=2, same=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3), same=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3), same=False)
        self.Mixed_5b = A(192, 32)
        self.Mixed_5c = A(256, 64)
        self.Mixed_5d = A(288, 64)
        self.Mixed_6a = B(288)
        self.Mixed_6b = C(768, 128)
        self.Mixed_6c = C(768, 160)
        self.Mixed_6d = C(768, 160)
        self.Mixed_6e = C(768, 192)
        self.Mixed_7a = D(768)
        self.Mixed_7b = E(1280, pool_by_maximum=False)
        self.Mixed_7c = E(2048, pool_by_maximum=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, images: Float[Tensor, "n 3 299 299"]) -> Features:
        """Features of images in [0, 255], as gen.extractors.resize makes them. Call it under torch.inference_mode()."""
        x = ((images - 128) / 128).to(self.Conv2d_1a_3x3.conv.weight.dtype, memory_format=torch.channels_last)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        pooled = x.float().mean((2, 3))
        unbiased = functional.linear(pooled, self.fc.weight)
        return Features(pooled, unbiased + self.fc.bias, unbiased)


def load_inception(path: Path, dtype: torch.dtype = torch.float32) -> Inception:
    """The network with the published weights, ready to extract features with.

    The file is known to be the published one before a byte of it is interpreted.

    Args:
        path: the file of WEIGHTS_URL.
        dtype: float32 for numbers to report; bfloat16 is faster and less exact: for looks during training. On CUDA
            torch rounds float32 convolutions to TF32 unless torch.backends.cudnn.allow_tf32 is off.

    Raises:
        InputError: the file is missing, incomplete or another one.
    """
    remedy = f"it has to be that of {WEIGHTS_URL}"
    if not path.is_file():
        raise InputError(f"{path}: no Inception weights; {remedy}")
    if (size := path.stat().st_size) != WEIGHTS_BYTES:
        raise InputError(f"{path}: {size:,} bytes, the Inception weights have {WEIGHTS_BYTES:,}; {remedy}")
    content = path.read_bytes()
    if (sha256 := hashlib.sha256(content).hexdigest()) != WEIGHTS_SHA256:
        raise InputError(f"{path}: not the Inception weights (sha256 {sha256}, not {WEIGHTS_SHA256}); {remedy}")
    with shapes_only():  # draws no random weights: torch's generator stays where it is
        network = Inception()
    network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), assign=True)
    return fuse(network, dtype)


def fuse(network: Inception, dtype: torch.dtype = torch.float32) -> Inception:
    """The same network, made fast for good: batch norm folded into convolutions, channels last, no gradients.

    Convolutions compute in `dtype`; the mean over positions and the last layer in float32.
    """
    network.eval().requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, Convolution):
            module.fold()
            module.to(dtype)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _average(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The mean of the 3x3 neighbours that are inside the image: padding is not counted."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
