"""The one place where a network's form, MLP or convolutions, follows from the shape of its samples or a setting."""

from math import prod

from torch import nn

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets import convolutional as networks
from gen.nets import inference, mlp

Discriminator = mlp.Discriminator | networks.Discriminator
Encoder = mlp.Encoder | inference.Encoder


def generator_for(image: ImageShape, latent_dim: int, width: int, depth: int | None) -> nn.Module:
    """A generator from `latent_dim` dimensions; see `width` and `depth` at `discriminator_for`."""
    if mlp.is_points(image):
        return mlp.Generator(latent_dim, width, _hidden_layers(depth), image)
    _size_decides(depth)
    return networks.Generator(latent_dim, width, image)


def discriminator_for(image: ImageShape, width: int, depth: int | None, norm: str) -> Discriminator:
    """A discriminator or critic.

    Args:
        image: shape of a sample.
        width: units of a hidden layer; for images, maps next to the image.
        depth: hidden layers; None for images, whose size decides.
        norm: of hidden layers: `batch`, `layer` or `none`.

    Raises:
        InputError: `depth` does not fit the form, or there is no network for images of this size.
    """
    if mlp.is_points(image):
        return mlp.Discriminator(width, _hidden_layers(depth), image, norm)
    _size_decides(depth)
    return networks.Discriminator(width, image, norm)


def inference_networks_for(
    image: ImageShape, *, latent_dim: int, encoded: int, width: int, depth: int | None, dropout: float
) -> tuple[Encoder, nn.Module, nn.Module]:
    """Encoder to `encoded` numbers, decoder from `latent_dim`, discriminator of pairs; other arguments as above.

    Args:
        image: shape of a sample.
        latent_dim: dimensions of z.
        encoded: what the encoder puts out: `latent_dim`, or a mean and a log sigma for each.
        width: units of a hidden layer; for images, maps of the first layer.
        depth: hidden layers; None for images, whose size decides.
        dropout: share of what goes into each layer of the discriminator that is dropped; for points, out of each.

    Raises:
        InputError: `depth` does not fit the form, or there is no network for images of this size.
    """
    if mlp.is_points(image):
        layers = _hidden_layers(depth)
        return (
            mlp.Encoder(image, width, layers, encoded, norm="batch"),
            mlp.Generator(latent_dim, width, layers, image, norm="batch"),
            mlp.JointDiscriminator(image, width, layers, latent_dim, dropout),
        )
    _size_decides(depth)
    return (
        inference.Encoder(image, width, encoded),
        inference.Decoder(image, width, latent_dim),
        inference.JointDiscriminator(image, width, latent_dim, dropout),
    )


def autoencoder_networks_for(
    image: ImageShape,
    *,
    convolutional: bool,
    latent_dim: int,
    encoded: int,
    width: int,
    depth: int | None,
    usual_depth: int,
    bounded: bool,
) -> tuple[mlp.Encoder | networks.Encoder, nn.Module]:
    """Encoder to `encoded` numbers and decoder from `latent_dim`, whose form is a setting; other arguments as above.

    Args:
        image: shape of a sample.
        convolutional: whether they are convolutional, or fully connected.
        latent_dim: dimensions of z.
        encoded: what the encoder puts out.
        width: units of a hidden layer; of convolutional networks, maps next to the image.
        depth: hidden layers; None for convolutional networks.
        usual_depth: of fully connected ones whose depth is None.
        bounded: whether images, not points, are decoded into [-1, 1], or into any numbers.

    Raises:
        InputError: `depth` does not fit the form, or there is no network for images of this size.
    """
    if convolutional:
        _size_decides(depth)
        return networks.Encoder(width, image, encoded), networks.Generator(latent_dim, width, image, bounded)
    layers = depth or usual_depth
    encoder = mlp.Encoder(image, width, layers, encoded, norm="none")
    if bounded:
        return encoder, mlp.Generator(latent_dim, width, layers, image)
    z = ImageShape(latent_dim, 1, 1)
    hidden = mlp.Encoder(z, width, layers, prod(image), norm="none")
    return encoder, nn.Sequential(nn.Unflatten(1, z), hidden, nn.Unflatten(1, image))


def _hidden_layers(depth: int | None) -> int:
    if depth is None:
        raise InputError("model.depth: null; points need a number of hidden layers, such as 3")
    return depth


def _size_decides(depth: int | None) -> None:
    if depth is not None:
        raise InputError(
            f"model.depth: {depth}; the size of images decides how many layers convolutional networks have: give null"
        )
