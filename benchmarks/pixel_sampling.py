"""Sampling pixel models: ours, which computes for each pixel what it changes, against one that passes the whole image.

All draw grey images of 32x32, 16 at once, on the CPU, from 12 layers of 64 maps with 256 levels. The other sampler is
what papers' code does: a pass of the whole network for each pixel, of which one pixel is used. It takes ten minutes: of
the plain PixelCNN both are timed for whole images, with the same numbers; of the gated one and of the PixelRNN one pass
is timed, of which 1,024 would make the images. Times are of the processor, in one thread: other work on the machine
takes no part in them.
"""

import time

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.report import report
from gen.families import load_family
from gen.family import DataSpec, ImageShape, Noise
from gen.nets.autoregressive import Autoregressive

IMAGE = ImageShape(1, 32, 32)
SETTINGS = {"base_channels": 64, "depth": 12, "head_channels": 64, "levels": 256}
BATCH = 16


@torch.no_grad()
def sample_by_whole_passes(pixels: Autoregressive, noise: Noise) -> Float[Tensor, "n c h w"]:
    """What `pixels.sample` draws, a pass over all pixels for each value."""
    uniform = noise.uniform(*pixels.image)
    images = torch.zeros_like(uniform)
    channels, height, width = pixels.image
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                log_p = pixels.log_p(pixels.network(images))[:, channel, :, row, column]
                images[:, channel, row, column] = pixels.drawn(log_p, uniform[:, channel, row, column])
    return images


def pixels_of(family: str, **own: object) -> Autoregressive:
    """A model of these images, not trained."""
    torch.manual_seed(0)
    model = load_family(family, SETTINGS | own, DataSpec(IMAGE)).train(False)
    pixels: Autoregressive = getattr(model, "pixels")  # noqa: B009
    return pixels


@torch.no_grad()
def whole_images(pixels: Autoregressive) -> dict[str, float]:
    """Seconds of both samplers, and how many pixels they draw alike."""
    begin = time.process_time()
    ours = pixels.sample(Noise("sample", rows=BATCH))
    middle = time.process_time()
    theirs = sample_by_whole_passes(pixels, Noise("sample", rows=BATCH))
    end = time.process_time()
    return {
        "ours, seconds": round(middle - begin, 2),
        "ours, seconds an image": round((middle - begin) / BATCH, 3),
        "whole passes, seconds": round(end - middle, 1),
        "times as fast (wanted: 100)": round((end - middle) / (middle - begin)),
        "share of equal pixels": round(float((ours == theirs).double().mean()), 6),
    }


@torch.no_grad()
def one_pass(pixels: Autoregressive) -> dict[str, float]:
    """Seconds of our sampler and of a pass, of which 1,024 would make the images."""
    begin = time.process_time()
    images = pixels.sample(Noise("sample", rows=BATCH))
    middle = time.process_time()
    pixels.network(images)
    end = time.process_time()
    return {
        "ours, seconds": round(middle - begin, 2),
        "ours, seconds an image": round((middle - begin) / BATCH, 3),
        "one pass, seconds": round(end - middle, 3),
        "times as fast as 1,024 passes": round(1024 * (end - middle) / (middle - begin)),
    }


def main() -> None:
    torch.set_num_threads(1)
    figures = {
        "plain": whole_images(pixels_of("pixel_cnn", gated=False)),
        "gated": one_pass(pixels_of("pixel_cnn", gated=True)),
        "row": one_pass(pixels_of("pixel_rnn", recurrence="row")),
        "diagonal": one_pass(pixels_of("pixel_rnn", recurrence="diagonal")),
        "threads": torch.get_num_threads(),
    }
    report("pixel_sampling", figures, ["torch"])


if __name__ == "__main__":
    main()
