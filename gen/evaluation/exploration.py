"""What the pictures and the numbers of a latent space are made of: images, their latent vectors, their attributes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen.abilities import Inference, Latent
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.evaluation.attribute_transfer import (
    balanced_accuracy,
    changes,
    probabilities,
    train_attribute_classifier,
)
from gen.evaluation.latent_space import middles, share_of, unexplained
from gen.evaluation.real_images import first_rows
from gen.extractors.classifier import Classifier
from gen.family import Batch, Noise
from gen.latent.attributes import attribute_vector, balanced_vector, synthetic_vector
from gen.latent.deviation import deviation
from gen.latent.encoding import decoded, encoded, projected
from gen.latent.labels import attribute, attributes
from gen.latent.projection import Projection
from gen.latent.sharpness import blurred, brightness, sharpness

Move = Callable[[int], object]
Has = Mapping[str, Bool[Tensor, " n"]]
SEEDS = 3
"""Of draws, and of the classifiers of attributes: the spread of a number."""


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """A model's latent space with what is known of it."""

    family: Latent
    train: Batch
    """The first training images."""
    held: Float[Tensor, "n c h w"]
    """The first test images."""
    first: Float[Tensor, "3 c h w"]
    """The first three validation images."""
    encodings: Projection | None
    """Of the test images, by the encoder; None without one."""
    projections: Projection
    """Of the first of the test images, by optimisation."""
    names: tuple[str, ...]
    """The attribute and, perhaps, the other one; empty without any."""
    known: Has
    """Which training images have these."""
    held_known: Has
    """Which test images have these."""
    steps: int
    """Of a classifier's training."""
    move: Move = lambda done: None
    """Called with the steps that were done."""

    @property
    def z(self) -> Float[Tensor, "n d"]:
        """Latent vectors of test images, as many as there are: encodings, or projections."""
        return (self.encodings or self.projections).z

    def of(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Latent vectors of images, by the encoder or by optimisation."""
        return (encoded if self.encodings else projected)(self.family, images).z

    @cached_property
    def labelled(self) -> tuple[Float[Tensor, "n d"], Has]:
        """Latent vectors whose attributes are known: of training images; without an encoder draws of the prior.

        What a draw has is what a classifier of real attributes says of its image, one of another seed than measure.
        """
        if self.encodings:
            return encoded(self.family, self.train.images).z, self.known
        z = self.family.prior(Noise("labelled", rows=len(self.train.images)))
        seen = probabilities(self.judge(SEEDS), decoded(self.family, z)) > 0.5
        return z, {name: seen[:, k] for k, name in enumerate(self.names)}

    def judge(self, seed: int) -> Classifier:
        """A classifier of the attributes, trained on the training images."""
        has = torch.stack([self.known[name] for name in self.names], dim=1)
        return train_attribute_classifier(self.train.images, has, steps=self.steps, seed=seed, after_step=self.move)


def explore(
    family: Latent,
    dataset: Dataset,
    *,
    resolution: int | None,
    images: int,
    projected_images: int,
    names: tuple[str, ...],
    steps: int,
    move: Move,
) -> Exploration:
    """Encode and project images of a data set.

    Args:
        family: with a prior.
        dataset: that it was trained on.
        resolution: of its images.
        images: training images and test images, at most.
        projected_images: test images that are projected.
        names: of attributes.
        steps: of each classifier's training.
        move: called with the steps of projections and classifiers that were done.

    Raises:
        InputError: the data set is of points, or lacks an attribute.
    """
    if dataset.shape.height == 1:
        raise InputError(f"{dataset.name}: holds points, of whose latent space there are no pictures")
    train, test = (first_rows(dataset, split, images, resolution) for split in ("train", "test"))
    known, held_known = ({n: attribute(attributes(b, dataset.classes), n) for n in names} for b in (train, test))
    return Exploration(
        family=family,
        train=train,
        held=test.images,
        first=first_rows(dataset, "validation", 3, resolution).images,
        encodings=encoded(family, test.images) if isinstance(family, Inference) else None,
        projections=projected(family, test.images[:projected_images], after_step=move),
        names=names,
        known=known,
        held_known=held_known,
        steps=steps,
        move=move,
    )


def measure(one: Exploration, seed: int) -> dict[str, float]:
    """The numbers of a latent space, with draws and classifiers of one seed."""
    found = middles(one.family, seed)
    shown = one.held[: len(one.projections.z)]
    found["unexplained_by_projection"] = unexplained(shown, one.projections.error)
    if one.encodings:
        found["unexplained_by_encoder"] = unexplained(shown, one.encodings.error[: len(shown)])
        apart = deviation(one.encodings.z, one.family.prior(Noise("deviation", seed, rows=2 * len(one.encodings.z))))
        found |= {
            "encodings_inhomogeneity": apart.inhomogeneity,
            "prior_inhomogeneity": apart.floor,
            "prior_outside_of_encodings": apart.outside,
        }
    return found | (attribute_numbers(one, seed) if one.names else {})


def blur_numbers(one: Exploration, vector: Float[Tensor, " d"]) -> dict[str, float]:
    """What going against the vector of a synthetic blur changes of reconstructions (White 2016, figure 8)."""
    before, after = (decoded(one.family, z) for z in (one.z, one.z - vector))
    return {
        "sharpness_against_blur": share_of(float(sharpness(after).mean()), float(sharpness(before).mean())),
        "brightness_change_against_blur": float((brightness(after) - brightness(before)).mean()),
    }


def attribute_numbers(one: Exploration, seed: int) -> dict[str, float]:
    """What the attribute's vector changes, before and after balancing, as a classifier of real attributes sees it."""
    measuring = one.judge(seed)
    z, has = one.labelled
    name, *others = one.names
    held = torch.stack([one.held_known[each] for each in one.names], dim=1)
    accuracy = balanced_accuracy(measuring, one.held, held)
    found = {f"classifier_accuracy_{each}": value for each, value in zip(one.names, accuracy, strict=True)}
    vectors = {"biased": attribute_vector(z, has[name], name)}
    if others:
        vectors["balanced"] = balanced_vector(z, has[name], has[others[0]], name, others[0])
    for kind, vector in vectors.items():
        wanted, *rest = changes(
            lambda z: decoded(one.family, z), one.z, vector, lambda images: probabilities(measuring, images)
        )
        found[f"{kind}_change"] = wanted
        if rest:
            found |= {f"{kind}_change_of_other": rest[0], f"{kind}_leak": share_of(rest[0], wanted)}
    return found


def blur_vector(one: Exploration, sigma: float) -> Float[Tensor, " d"]:
    """The vector of a synthetic blur: of training images or, without an encoder, of the projected test images."""
    if one.encodings:
        return synthetic_vector(one.of(one.train.images), one.of(blurred(one.train.images, sigma)))
    return synthetic_vector(one.z, one.of(blurred(one.held[: len(one.z)], sigma)))
