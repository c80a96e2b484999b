"""A small convolutional classifier of a data set's own labels: the extractor of features when people name the classes.

It can be had without a network, and of digits it is the better judge: the Inception network was made for photographs.
Distances in its features compare models of one data set with each other, never with those of a paper.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.data.progress import progress
from gen.family import ImageShape, seed_of
from gen.metrics.neighbours import spans

BATCH = 128
PEAK_LR = 2e-3
FEATURES = 128
"""Numbers in the last hidden layer, which samples are compared by; before its ReLU, where none is 0 for every image."""


class Classifier(nn.Module):
    """Three convolutions and two linear layers: images in [-1, 1] to features and logits."""

    def __init__(self, image: ImageShape, classes: int) -> None:
        super().__init__()
        self.image = image
        flat = 64 * (image.height // 4) * (image.width // 4)
        self.body = nn.Sequential(
            nn.Conv2d(image.channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(flat, FEATURES),
            nn.BatchNorm1d(FEATURES, affine=False),  # real images have mean 0 and variance 1 in every feature
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, classes))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        logits: Tensor = self.head(self.body(images))
        return logits


def train_classifier(dataset: Dataset, resolution: int | None, steps: int, seed: int = 0) -> Classifier:
    """A classifier of the train split, its images padded to `resolution`: Adam, one cycle of the learning rate.

    Of a data set of several domains each batch has equally many images of each. A function of its arguments on the CPU
    with the same number of threads.
    """
    height, width = (resolution, resolution) if resolution else dataset.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "classifier"))
        model = Classifier(ImageShape(dataset.shape.channels, height, width), len(dataset.classes))
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps)
        splits = dataset.in_all_domains("train")
        rows = BATCH // len(splits)
        loaders = [Loader(dataset, split, batch_size=rows, seed=seed, resolution=resolution) for split in splits]
        with progress(f"{dataset.name}: training the classifier", "steps", steps) as move:
            for step in range(steps):
                batches = [loader[step] for loader in loaders]
                images, labels = (
                    torch.cat([getattr(batch, name) for batch in batches]) for name in ("images", "labels")
                )
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(images), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                cycle.step()
                move(1)
    return model.eval()


@torch.no_grad()
def accuracy(model: Classifier, dataset: Dataset, resolution: int | None, split: str = "test") -> float:
    """Share of the split's images, those of all domains, that are put in their own class."""
    right = total = 0
    for one in dataset.in_all_domains(split):
        rows = dataset.rows[one]
        loader = Loader(dataset, one, batch_size=min(1000, rows), seed=0, resolution=resolution)
        for index, part in enumerate(spans(rows, min(1000, rows))):  # an epoch holds each row once
            batch = loader[index].rows(slice(part.stop - part.start))
            right += int((model(batch.images).argmax(1) == batch.labels).sum())
        total += rows
    return right / total
