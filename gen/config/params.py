"""params.yaml as typed, checked objects."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gen.config.extractors import Name
from gen.config.protocol import Protocol
from gen.config.sweep import Sweep
from gen.errors import InputError
from gen.settings import Settings, nearest


class Data(Settings):
    """Section `data`: where published files come from."""

    mirror: str | None = None
    """Folder or URL that holds `<source>/<file>` and SHA256SUMS; null: the publishers. GEN_MIRROR overrides it."""


class Logging(Settings):
    """Section `logging`: how often a run records metrics, grids and checkpoints. None of it changes its weights."""

    metrics_every: int = Field(gt=0)
    """Steps between two records of losses, gradient norms and speed; also how soon a stop is obeyed."""
    grid_every: int = Field(gt=0)
    """Steps between two sample grids."""
    checkpoint_every: int = Field(gt=0)
    """Steps between two checkpoints, each with a score on the validation split."""
    keep_checkpoints: int = Field(gt=0)
    """How many of the last checkpoints stay; the best one stays besides."""
    profile_steps: int = Field(default=0, ge=0)
    """Length in steps of a torch profiler trace, taken after ten steps; 0: none."""


class Cluster(Settings):
    """Section `cluster`: where training runs. None of it changes a run's weights."""

    address: str | None = None
    """A Ray cluster to join; null: RAY_ADDRESS when set, else a local one started for the stage."""
    storage: str = Field(min_length=1)
    """Folder or object-store URL that every node reaches; holds checkpoints."""
    max_failures: int = Field(ge=0)
    """How often a run restarts from its newest checkpoint after losing a worker."""


class Compute(Settings):
    """How a run is computed. Each of these can change the last bits of its weights; of a family with batch norm, more.

    Any number of workers and microbatches makes the same updates, up to rounding: noise and dropout are drawn by the
    row of the whole batch. Batch norm, though, normalises by the rows of one microbatch of one worker, so with it each
    number of parts is another algorithm, as in torch without SyncBatchNorm; its running statistics are averaged over
    workers.
    """

    workers: int = Field(default=1, gt=0)
    """Processes that share each batch."""
    threads: int = Field(default=1, gt=0)
    """CPU threads (and Ray CPUs) of each worker."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: the first of cuda, mps, cpu that is there."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: losses are computed under autocast; weights stay float32."""
    channels_last: bool = False
    """Memory layout of images and convolutions; faster for wide ones on recent GPUs and CPUs."""
    compile: bool = False
    """torch.compile the networks, but never through a gradient penalty."""
    grad_accum_steps: int = Field(default=1, gt=0)
    """Parts into which each worker's share of a batch is cut to save memory; gradients are accumulated."""


class Run(Settings):
    """One entry of `runs`: a family, a data set, and the hyperparameters that are not left to their defaults.

    `gen show <run>` prints a run with all of them. The shortest run names its family, data set, group and steps, and
    for DVC, which knows no defaults, has `warm_start` and `part` without a value.
    """

    family: str
    """File of gen/families."""
    dataset: str
    """Entry of `datasets`."""
    group: str
    """Runs that are compared with each other; the folder below models/."""
    resolution: int | None = Field(default=None, gt=0)
    """Images are padded, with black (raw 0), to this height and width; null: as prepared.

    White paper gets a black frame: prepare such images at this resolution instead, where their section has a
    `resolution`.
    """
    seed: int = Field(default=0, ge=0)
    """Seed of initialisation, order of data, and noise."""
    seeds: int = Field(default=1, gt=0)
    """How many times it is trained, with `seed` and the seeds that follow it; the spread of its numbers over trainings.

    The model of `seed` is the run's model; those of the others are in `seeds/<seed>` of its folder.
    """
    steps: int = Field(gt=0)
    """Steps of the last network to move: generator steps, for a GAN."""
    batch_size: int = Field(default=64, gt=0)
    """Images in each update, over all workers."""
    ema: float | None = Field(default=None, ge=0, lt=1)
    """Decay per step of the averaged weights that samples are drawn with; null: no average."""
    warm_start: str | None = Field(default=None, min_length=1)
    """Trained model whose weights the run begins with, by its folder below models/: `<group>/<run>` is the best
    checkpoint of that run, `<group>/<run>/last` its last one. null: a random initialisation.
    """
    part: str | None = Field(default=None, min_length=1)
    """Trained model that the run's family is made with and leaves as it is, named likewise; null: none."""
    compute: Compute = Compute()
    """How it is computed."""
    model: dict[str, Any] = Field(default={})
    """The family's own settings, checked by its Config; what is left out has the paper's value."""

    @field_validator("warm_start", "part")
    @classmethod
    def _is_below_models(cls, model: str | None) -> str | None:
        if model is not None and model.removeprefix("./").startswith("models/"):
            short = model.removeprefix("./").removeprefix("models/")
            raise ValueError(f"models are named by their folder below models/; write {short}")
        return model

    @field_validator("group")
    @classmethod
    def _can_be_a_folder(cls, group: str) -> str:
        if not re.fullmatch(r"[a-z0-9_-]+", group):
            raise ValueError("use small letters, digits, - and _: it is a folder's name")
        return group

    def trainings(self, name: str) -> dict[str, "Run"]:
        """The trainings of the run `name`, each of one seed: `<name>`, `<name>-seed<seed>` of the next one, ..."""
        single = self.model_copy(update={"seeds": 1})
        later = range(self.seed + 1, self.seed + self.seeds)
        return {name: single} | {f"{name}-seed{seed}": single.model_copy(update={"seed": seed}) for seed in later}


class Reference(Settings):
    """One entry of `reference`, named by its data set: what all models of that data set are judged by."""

    extractors: tuple[Name, ...] = Field(min_length=1)
    """By what features; the first is the one that checkpoints are chosen by.

    inception needs its weight file, classifier needs labels, coordinates are of points. pixels, the image averaged down
    to 8x8, needs nothing, but sees no detail: it ranks checkpoints of one run.
    """
    resolution: int | None = Field(default=None, gt=0)
    """Images are padded, with black, to this height and width, as in the runs that are judged; null: as prepared."""
    classifier_steps: int = Field(default=0, ge=0, validate_default=True)
    """Steps, of 128 images, that the classifier is trained; without one nothing depends on it, and 0 is usual."""
    samples: int = Field(ge=4)
    """Images drawn from a model, for each seed."""
    seeds: int = Field(default=3, ge=1)
    """How many times they are drawn: the spread of a metric."""
    score_samples: int = Field(ge=2)
    """Images drawn when a checkpoint of a training is scored, by which the best one is chosen."""
    score_every: int = Field(gt=0)
    """Steps between scores, a multiple of `logging.checkpoint_every`; seldom enough, they cost next to nothing."""
    workers: int = Field(default=1, ge=1)
    """Processes that draw samples and extract features, of real images too; the numbers do not depend on it."""

    @field_validator("classifier_steps")
    @classmethod
    def _trained(cls, steps: int, info: Any) -> int:
        if steps == 0 and "classifier" in info.data.get("extractors", ()):
            raise ValueError("the classifier among the extractors needs some, such as 1500")
        return steps


class Classification(Settings):
    """One entry of `svm`, named by its run: how few labels its features are given to a linear classifier with."""

    dataset: str
    """The run's, which DVC has to find here."""
    group: str
    """The run's, too."""
    protocol: Protocol
    """How many labelled images, how often drawn."""


class Exploration(Settings):
    """One entry of `explore`, named by its run, whose family has a latent vector: what is drawn of its latent space."""

    dataset: str
    """The run's, which DVC has to find here."""
    group: str
    """The run's, too."""
    attribute: str | None = None
    """A class, a column that is true or false, or `bright`: whose vector is drawn and measured; null: none is."""
    other: str | None = None
    """An attribute that is correlated with it, across which it is balanced; null: none."""
    images: int = Field(default=2000, ge=64)
    """Training images (without an encoder, samples) that attribute vectors are means of; held-out images, at most."""
    projected: int = Field(default=64, ge=16)
    """Held-out images whose latent vectors are found by optimisation, too."""
    classifier_steps: int = Field(default=300, ge=1)
    """Steps, of 64 images, of the classifiers that measure what an attribute's vector changes."""
    blur: float = Field(default=1.0, gt=0)
    """Sigma, in pixels, of the blur that is a synthetic attribute."""

    @model_validator(mode="after")
    def _other_is_beside_an_attribute(self) -> "Exploration":
        if self.other is not None and self.attribute in (None, self.other):
            raise ValueError(f"other: {self.other}; it is beside another attribute: name that as attribute")
        return self


class Params(Settings):
    """A whole params.yaml."""

    data: Data
    datasets: dict[str, dict[str, Any]]
    reference: dict[str, Reference]
    runs: dict[str, Run]
    svm: dict[str, Classification]
    explore: dict[str, Exploration] = Field(default={})
    sweeps: dict[str, Sweep]
    compare: tuple[str, ...]
    critics: tuple[str, ...]
    logging: Logging
    cluster: Cluster

    def run(self, name: str) -> Run:
        """The run of that name. Raises InputError, with the nearest name, when there is none."""
        if name not in self.runs:
            raise InputError(f"runs.{name}: no such run; {nearest(name, self.runs)}")
        return self.runs[name]

    def sweep(self, name: str) -> Sweep:
        """The sweep of that name. Raises InputError, with the nearest name, when there is none."""
        if name not in self.sweeps:
            raise InputError(f"sweeps.{name}: no such sweep; {nearest(name, self.sweeps)}")
        return self.sweeps[name]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"model": {"clip": 0.01}} -> {"model.clip": 0.01}."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result
