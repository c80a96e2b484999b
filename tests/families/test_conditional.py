"""Conditional families: each network is told the class of its own row."""

import torch
from torch import nn

from gen.family import Batch, Noise
from gen.losses.adversarial import discriminator_loss, non_saturating
from tests.families.small import IMAGES, build

ROWS = 4


class Told(nn.Module):
    """A network that remembers what it is told and answers with a number for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, x: torch.Tensor, y: torch.Tensor, noise: Noise | None = None) -> torch.Tensor:
        self.seen.append((x, y))
        return y.double() + x.double().flatten(1).mean(dim=1)


def test_generated_images_are_judged_with_the_labels_that_they_were_made_of() -> None:
    family = build("cgan").train(False)
    labels = torch.tensor([3, 1, 7, 3])
    batch = Batch(torch.linspace(-1, 1, ROWS)[:, None, None, None].expand(ROWS, *IMAGES), labels)
    judge = Told()
    family.discriminator = judge  # type: ignore[attr-defined]
    discriminator, generator = family.updates()
    lost = discriminator.loss(batch, Noise("d", rows=ROWS))
    ((images, told),) = judge.seen
    assert torch.equal(told, torch.cat([labels, labels]))
    assert torch.equal(images[:ROWS], batch.images)
    with torch.no_grad():
        z = Noise("d", rows=ROWS).normal(4)
        made = family.generator(z, labels)  # type: ignore[attr-defined]
    assert torch.equal(images[ROWS:], made)
    real, fake = (labels.double() + each.double().flatten(1).mean(dim=1) for each in (batch.images, made))
    assert torch.equal(lost["discriminator"], discriminator_loss(real, fake))
    won = generator.loss(batch, Noise("d", rows=ROWS))
    torch.testing.assert_close(won["generator"], non_saturating(fake))
    assert won["generator"].requires_grad
