"""A checkout with models of digits that nobody has trained, to be explored."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gen import export
from gen.data.dataset import Dataset
from gen.families import load_family
from gen.family import DataSpec
from tests.families.small import IMAGES, small

LATENT_DIM = {"vae": 3, "dcgan": 4, "cgan": 4, "autoencoder": 4}


def checkout_of_digits(folder: Path, digits: Dataset) -> Path:
    """The folder, in which `data/prepared` has the data set and `models` has a model tiny_<family> of some families."""
    (folder / "data").mkdir()
    (folder / "data" / "prepared").symlink_to(digits.folder.parent)
    data = DataSpec(IMAGES, classes=10)
    for family in (*LATENT_DIM, "pixel_cnn"):
        torch.manual_seed(0)
        settings = dict(small(family, IMAGES)[0])
        settings |= {"latent_dim": LATENT_DIM[family]} if family in LATENT_DIM else {}
        model = load_family(family, settings, data).train(False)
        if family in ("dcgan", "cgan"):  # their weights start so small that all images are grey
            for weights in model.parameters():
                if weights.dim() > 1:
                    torch.nn.init.normal_(weights, std=0.3)
        note = {"name": "digits", "digest": digits.digest, "classes": list(digits.classes)}
        export.save(folder / "models" / "tiny" / f"tiny_{family}", model, family, settings, data, dataset=note)
    return folder


def pixels(png: bytes) -> np.ndarray:
    """Of a PNG file's bytes."""
    return np.asarray(Image.open(io.BytesIO(png)))
