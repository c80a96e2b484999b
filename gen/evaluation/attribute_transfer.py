"""What moving along an attribute's vector changes, as a classifier of real attributes sees it.

White 2016, section III.B: a smile vector of faces of which women smile more often adds a little of the other attribute,
too. How much is measured: images are decoded at z + v and at z - v, and the classifier says with what probability each
has the wanted attribute and the other one. The leak is the change of the other one as a share of the wanted one's.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gen.extractors import AT_ONCE
from gen.extractors.classifier import Classifier
from gen.family import ImageShape, seed_of

BATCH = 64
LR = 1e-3
STEPS = 600


def train_attribute_classifier(
    images: Float[Tensor, "n c h w"],
    attributes: Bool[Tensor, "n k"],
    *,
    steps: int = STEPS,
    seed: int = 0,
    after_step: Callable[[int], object] = lambda done: None,
) -> Classifier:
    """A classifier of attributes that do not exclude each other: a logit for each; Adam, batches drawn by the seed.

    A rare attribute's images weigh as much in all as the images without it.
    """
    share = attributes.double().mean(dim=0).clamp(1e-3, 1 - 1e-3)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed_of(seed, "attribute classifier"))
        model = Classifier(ImageShape(*images.shape[1:]), attributes.shape[1])
        optimizer = torch.optim.Adam(model.parameters(), LR)
        for _ in range(steps):
            rows = torch.randint(len(images), (BATCH,))
            optimizer.zero_grad()
            loss = binary_cross_entropy_with_logits(
                model(images[rows]), attributes[rows].float(), pos_weight=((1 - share) / share).float()
            )
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step(1)
    return model.eval()


@torch.no_grad()
def probabilities(model: Classifier, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """With what probability each image has each attribute, were it as frequent as its absence."""
    return torch.cat([model(some).sigmoid() for some in torch.split(images, AT_ONCE)])


def balanced_accuracy(
    model: Classifier, images: Float[Tensor, "n c h w"], attributes: Bool[Tensor, "n k"]
) -> list[float]:
    """Of each attribute, the mean of the shares of images with and without it that are seen as they are."""
    right = (probabilities(model, images) > 0.5) == attributes
    return [
        float((right[has, k].double().mean() + right[~has, k].double().mean()) / 2)
        for k, has in enumerate(attributes.unbind(1))
    ]


def changes(
    decode: Callable[[Tensor], Tensor],
    z: Float[Tensor, "n d"],
    vector: Float[Tensor, " d"],
    probability: Callable[[Tensor], Tensor],
) -> list[float]:
    """The mean change of the probability of each attribute, from the images at z - v to those at z + v.

    Args:
        decode: latent vectors to images.
        z: where the vector is taken away and added.
        vector: of an attribute.
        probability: of images, a column for each attribute.
    """
    with torch.no_grad():
        more, less = probability(decode(z + vector)), probability(decode(z - vector))
    found: list[float] = (more - less).double().mean(dim=0).tolist()
    return found
