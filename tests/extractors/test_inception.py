"""The FID Inception and its resizers: against the published port, Pillow, and themselves."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gen.config.extractors import scoring_extractor
from gen.data.fetch import fetch
from gen.data.prepare import prepare
from gen.errors import InputError
from gen.evaluation.real_images import images
from gen.evaluation.reference import open_reference, write_reference
from gen.extractors import InceptionExtractor, inception
from gen.extractors.inception import Inception, fuse, load_inception
from gen.extractors.resize import RESIZERS, bicubic, bilinear
from tests.extractors import port

ROOT = Path(__file__).parent.parent.parent
SHAPES = [(3, 3, 32, 32), (1, 3, 299, 299), (1, 3, 37, 510), (2, 1, 1201, 16)]
"""Of the batches that the port sees; it does not extract features of grey ones."""


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, of random numbers."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(port.random_weights(), path)
    return path


@pytest.fixture(scope="module")
def unfused(weights: Path) -> Inception:
    network = Inception()
    network.load_state_dict(torch.load(weights))
    return network.eval()


@pytest.fixture(scope="module")
def network(weights: Path) -> Inception:
    network = Inception()
    network.load_state_dict(torch.load(weights))
    return fuse(network)


@pytest.fixture(scope="module")
def published(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Tensor, ...]]:
    """What the port says of each batch: it resized, then features, logits without bias and with."""
    folder = tmp_path_factory.mktemp("port")
    try:
        port.install(folder)
    except subprocess.CalledProcessError as failure:
        pytest.skip(f"{port.PACKAGE} cannot be installed: {failure.stderr.decode().strip()[-200:]}")
    torch.save([pixels(*shape) for shape in SHAPES], folder / "images.pt")
    paths = [folder, weights, folder / "images.pt", folder / "said.pt"]
    subprocess.run([sys.executable, "-m", "tests.extractors.port", *paths], cwd=ROOT, check=True)
    message: list[tuple[Tensor, ...]] = torch.load(folder / "said.pt")
    return message


@torch.inference_mode()
def test_the_published_port_says_the_same(published: list[tuple[Tensor, ...]], network: Inception) -> None:
    for shape, (_, *expected) in zip(SHAPES, published, strict=True):
        if expected:
            features = network(bilinear(pixels(*shape)))
            found = (features.pooled, features.unbiased_logits, features.logits)
            for ours, theirs in zip(found, expected, strict=True):
                assert float((ours - theirs).norm() / theirs.norm()) < 1e-5
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.std()))


def test_the_published_port_resizes_alike(published: list[tuple[Tensor, ...]]) -> None:
    for shape, (expected, *_) in zip(SHAPES, published, strict=True):
        assert float((bilinear(pixels(*shape)) - expected).abs().max()) < 1e-5 * 255


def test_bilinear_by_hand() -> None:
    """Side 2 to 4: outputs sit at 0, 0.5, 1 and 1.5, the last of which has no pixel to its right."""
    image = torch.tensor([[[[0, 100], [200, 50]]]], dtype=torch.uint8)
    first, last = [0.0, 50.0, 100.0, 100.0], [200.0, 125.0, 50.0, 50.0]
    middle = [(a + b) / 2 for a, b in zip(first, last, strict=True)]
    grey = torch.tensor([first, middle, last, last])
    assert torch.equal(bilinear(image, side=4), grey.expand(1, 3, 4, 4))


@pytest.mark.parametrize("side", [32, 400])
def test_bicubic_is_pillows_on_each_channel(side: int) -> None:
    images = pixels(2, 3, side, side + 5)
    resized = bicubic(images)
    for image, result in zip(images, resized, strict=True):
        for channel in range(3):
            pillow = Image.fromarray(image[channel].numpy().astype(np.float32)).resize(
                (299, 299), Image.Resampling.BICUBIC
            )
            assert np.array_equal(result[channel].numpy(), np.asarray(pillow).clip(0, 255))
    assert float(resized.frac().abs().max()) > 0.1, "rounded"
    assert (resized.min(), resized.max()) == (0, 255)


@pytest.mark.parametrize("name", RESIZERS)
def test_the_right_size_stays_as_it_is(name: str) -> None:
    images = pixels(2, 3, 299, 299)
    assert torch.equal(RESIZERS[name](images), images.float())


@pytest.mark.parametrize("name", RESIZERS)
def test_grey_is_three_equal_channels(name: str) -> None:
    grey = pixels(2, 1, 28, 28)
    assert torch.equal(RESIZERS[name](grey), RESIZERS[name](grey.repeat(1, 3, 1, 1)))
    assert RESIZERS[name](grey[:0]).shape == (0, 3, 299, 299)


@pytest.mark.parametrize("name", RESIZERS)
@pytest.mark.parametrize("images", [torch.rand(2, 3, 8, 8), pixels(3, 8, 8), pixels(2, 2, 8, 8), pixels(2, 3, 0, 8)])
def test_resizers_refuse_what_is_no_image(name: str, images: Tensor) -> None:
    with pytest.raises(InputError, match=r"^images: .*wanted uint8 \(n, c, h, w\) with 1 or 3 channels$"):
        RESIZERS[name](images)


@torch.inference_mode()
def test_fused_is_unfused(unfused: Inception, network: Inception) -> None:
    images = bilinear(pixels(2, 3, 32, 32))
    for fused, plain in zip(network(images), unfused(images), strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5 * float(plain.std()))


@torch.inference_mode()
def test_batches_do_not_matter(network: Inception) -> None:
    images = bilinear(pixels(7, 3, 32, 32))
    alone = torch.cat([network(image).pooled for image in images.split(1)])
    torch.testing.assert_close(network(images).pooled, alone, rtol=1e-5, atol=1e-5 * float(alone.std()))


@pytest.fixture
def accepted(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The random file, as if it were the published one."""
    content = weights.read_bytes()
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(inception, "WEIGHTS_BYTES", len(content))
    return weights


@torch.inference_mode()
def test_loading_and_a_half_precision_that_is_close(accepted: Path, network: Inception) -> None:
    images = bilinear(pixels(2, 3, 32, 32))
    exact = network(images)
    before = torch.get_rng_state()
    loaded, half = load_inception(accepted), load_inception(accepted, torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
    assert not loaded.training
    assert torch.equal(loaded(images).pooled, exact.pooled)
    rough = half(images)
    assert {part.dtype for part in rough} == {torch.float32}
    assert 1e-4 < float((rough.pooled - exact.pooled).norm() / exact.pooled.norm()) < 0.02


@pytest.mark.slow
def test_a_rounded_one_has_statistics_of_its_own(accepted: Path, tmp_path: Path) -> None:
    """Looks in training compare what the same network says of real images and of samples."""
    section = {"source": "digits", "resolution": 16, "validation": 4, "test": 297}
    fetch("digits", section, "digits", tmp_path / "raw", mirror=None)
    digits = prepare("digits", section, "digits", tmp_path / "raw", tmp_path / "digits")
    name = scoring_extractor("inception_bilinear")
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(accepted, folder / "inception.pth")
    write_reference(
        folder, extractor=name, dataset=digits, resolution=16, splits=["validation"], notes={}, move=lambda n: None
    )
    reference = open_reference(folder)
    assert reference.name == "inception_bilinear_bfloat16"
    assert list(reference.moments) == ["validation"]
    (real,) = images(digits, "validation", 16)
    half = InceptionExtractor(load_inception(accepted, torch.bfloat16), "bilinear")
    torch.testing.assert_close(reference.moments["validation"].mean, half(real).features.double().mean(0))


def test_other_weight_files_are_refused_unread(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    missing, truncated, other = (tmp_path / name for name in ("missing.pth", "truncated.pth", "other.pth"))
    truncated.write_bytes(weights.read_bytes()[:1000])
    with other.open("wb") as file:
        file.truncate(inception.WEIGHTS_BYTES)
    message = {
        missing: "no Inception weights",
        tmp_path: "no Inception weights",
        truncated: "1,000 bytes",
        other: "sha256",
    }
    for path, reason in message.items():
        with pytest.raises(InputError) as refusal:
            load_inception(path)
        message = str(refusal.value)
        assert message.startswith(f"{path}: ")
        assert reason in message
        assert inception.WEIGHTS_URL in message
        assert "\n" not in message
