"""What extractors see, and what they refuse."""

import pytest
import torch

from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.extractors import ClassifierExtractor, PixelExtractor, exact
from gen.extractors.classifier import train_classifier
from gen.family import ImageShape


def test_pixels_are_means_of_rounded_images() -> None:
    extract = PixelExtractor(ImageShape(3, 4, 16))
    drawn = torch.rand(5, 3, 4, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rounded = ((drawn + 1) * 127.5).round() / 127.5 - 1
    found, logits = extract(drawn)
    assert torch.equal(found, extract(rounded).features)
    torch.testing.assert_close(found, rounded.unflatten(3, (8, 2)).mean(4).flatten(1))
    assert logits.shape == (5, 0)


def test_a_classifier_needs_its_own_shape(datasets: dict[str, Dataset]) -> None:
    model = train_classifier(datasets["digits"], 16, steps=1)
    assert model.image == ImageShape(1, 16, 16)
    with pytest.raises(InputError, match="the extractor is for 1x16x16"):
        ClassifierExtractor(model)(torch.zeros(1, 3, 16, 16))


def test_features_are_computed_by_cudnn_but_not_in_tf32() -> None:
    with exact():
        assert torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32
