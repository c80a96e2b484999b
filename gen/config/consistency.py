"""What the parts of a params file must be to each other: found when it is read, before anything is built."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from gen import export
from gen.abilities import Grows, Latent, streams_of
from gen.config.params import Params, Run
from gen.config.sweep import SHARED, Sweep, Value, apply_overrides, label, validation_scores
from gen.data.domains import no_domain
from gen.data.source import Classed, check_dataset
from gen.errors import InputError
from gen.export import model_folder
from gen.families import check_family, family_module, load_family
from gen.family import DataSpec, Family, ImageShape
from gen.settings import check, meant, nearest
from gen.shapes import shapes_only

UNKNOWN = 2
"""Classes that stand for those that are found in the files of a data set."""


TAKEN = {"svm": "svm", "explore": "latent"}
"""Sections whose entries are named by runs -> the folder of a group's evaluations that their results lie in."""
LONGEST_NAME = 100
"""Letters of a name that becomes a folder, behind which an identity is put."""


def check_names(params: Params, where: str) -> None:
    """Data sets and runs can be folders; what is judged exists. Raises InputError."""
    for name in params.datasets:
        check_folder(name, f"{where}: datasets.{name}")
    check_run_names(params, where)
    for name in params.reference:
        if name not in params.datasets:
            raise InputError(f"{where}: reference.{name}: unknown data set; {nearest(name, params.datasets)}")
        if (every := params.reference[name].score_every) % (saved := params.logging.checkpoint_every):
            message = f"{every} is no multiple of logging.checkpoint_every, {saved}: only what is saved is scored"
            raise InputError(f"{where}: reference.{name}.score_every: {message}")
    check_results(params, where)


def check_results(params: Params, where: str) -> None:
    """Entries that are named by runs fit these, and what is explored can be. Raises InputError."""
    for section in TAKEN:
        for name, entry in getattr(params, section).items():
            if name not in params.runs:
                raise InputError(f"{where}: {section}.{name}: unknown run; {nearest(name, params.runs)}")
            run = params.runs[name]
            if (entry.dataset, entry.group) != (run.dataset, run.group):
                message = f"dataset and group are those of the run, {run.dataset} and {run.group}"
                raise InputError(f"{where}: {section}.{name}: {message}")
    for name in params.explore:
        model = family_module(params.runs[name].family).Model
        if not issubclass(model, Latent):
            message = "has no latent vector with a prior; take the entry out (gen families lists those that have one)"
            raise InputError(f"{where}: explore.{name}: {params.runs[name].family} {message}")


def check_run_names(params: Params, where: str) -> None:
    """Each run, and each training of one, has a name of its own that can be a folder. Raises InputError."""
    for name, run in params.runs.items():
        check_folder(name, f"{where}: runs.{name}")
        if name in TAKEN.values():
            raise InputError(f"{where}: runs.{name}: the folder of that name is taken; choose another")
        for training in run.trainings(name):
            if training != name and training in params.runs:
                raise InputError(f"{where}: runs.{training}: that is a training of runs.{name}; choose another name")


def check_extractors(params: Params, where: str) -> None:
    """Points are judged by their coordinates, images by anything else. Raises InputError."""
    for name, entry in params.reference.items():
        points = check_dataset(params.datasets[name], f"{where}: datasets.{name}").describe().dtype == "float32"
        for extractor in entry.extractors:
            if points != (extractor == "coordinates"):
                message = "is for images, these are points; use coordinates"
                if not points:
                    message = "are of points, these are images; use classifier, pixels or an inception"
                raise InputError(f"{where}: reference.{name}.extractors: {extractor} {message}")


def check_groups(params: Params, where: str) -> None:
    """A group that is compared has runs, on one data set. Raises InputError."""
    groups: dict[str, set[str]] = {}
    for run in params.runs.values():
        groups.setdefault(run.group, set()).add(run.dataset)
    for section, listed in (("compare", params.compare), ("critics", params.critics)):
        for group in listed:
            if group not in groups:
                raise InputError(f"{where}: {section}: no run is of group {group!r}; {nearest(group, groups)}")
            if len(groups[group]) > 1:
                several = ", ".join(sorted(groups[group]))
                remedy = "compare those on one data set"
                raise InputError(f"{where}: {section}: group {group!r} has runs on {several}; {remedy}")


def check_sweeps(params: Params, where: str) -> None:
    """Every trial is a run that could stand in `runs`, as far as `Sweep.points_to_check` goes. Raises InputError."""
    for name, sweep in params.sweeps.items():
        place = f"{where}: sweeps.{name}"
        check_folder(name, place)
        if sweep.run not in params.runs:
            raise InputError(f"{place}.run: unknown run {sweep.run!r}; {nearest(sweep.run, params.runs)}")
        run = params.runs[sweep.run]
        if (sweep.dataset, sweep.family) != (run.dataset, run.family):
            message = f"dataset and family are those of the run, {run.dataset} and {run.family}"
            raise InputError(f"{place}: {message}")
        message = f"no score by the extractors of reference.{run.dataset}"
        known = [metric for judge in params.reference[run.dataset].extractors for metric in validation_scores(judge)]
        if own := getattr(family_module(run.family).Model, "held_out", None):  # gen.abilities.HeldOutLoss
            message, known = f"{run.family} is scored by its own loss", [f"validation/{own}"]
        if sweep.metric.startswith("validation/") and sweep.metric not in known:
            raise InputError(f"{place}.metric: {sweep.metric}: {message}; known: {', '.join(known)}")
        if both := set(sweep.changes) & set(sweep.space):
            raise InputError(f"{place}.changes: {min(both)} is swept; name it once")
        if shared := set(sweep.space) & set(SHARED):
            raise InputError(f"{place}.space: {min(shared)} is the same for all trials; set it in changes")
        trial_run(params, name, {}, 0, where)
        for values in sweep.points_to_check():
            trial_run(params, name, values, 0, where)


def trial_run(params: Params, name: str, values: Mapping[str, Value], seed: int, where: str = "params.yaml") -> Run:
    """The run that a sweep's trial trains, checked as an entry of `runs` is.

    Args:
        params: the whole file.
        name: of the sweep.
        values: of the swept hyperparameters, by path.
        seed: counted from the run's own.
        where: the params file, for errors.

    Raises:
        InputError: a path or a value is illegal.
    """
    sweep, where = params.sweep(name), f"{where}: sweeps.{name}"
    base = params.run(sweep.run)
    check_symbols(sweep, where)
    section = apply_overrides(sweep.changes, base.model_dump(), f"{where}.changes")
    section = apply_overrides(values, section, f"{where}.space")
    section |= {"seed": base.seed + seed, "seeds": 1, "steps": sweep.steps}
    where = f"{where}[{label(values)}]" if values else f"{where}.changes"
    run = check(Run, section, where)
    return check_run(run, params, where)


def check_symbols(sweep: Sweep, where: str) -> None:
    """A hyperparameter that is named by its symbol in the paper is answered with its field. Raises InputError."""
    kind = family_module(sweep.family, f"{where}.family").Config
    for part, paths in (("changes", sweep.changes), ("space", sweep.space)):
        for path in paths:
            head, _, name = path.partition(".")
            if head == "model" and name not in kind.model_fields and (field := meant(name, kind)):
                raise InputError(f"{where}.{part}.{path}: no hyperparameter; did you mean model.{field}?")


def check_folder(name: str, where: str) -> None:
    """A name can be a folder, also with what is put behind it (a seed, an identity). Raises InputError."""
    if len(name) > LONGEST_NAME:
        message = f"a name of {len(name)} letters; use {LONGEST_NAME} at most"
        raise InputError(f"{where.replace(name, name[:20])}...: {message}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"{' '.join(where.split())}: not a name for a folder; use letters, digits, - and _")


def check_group(group: str, where: str) -> None:
    """The folder of a group of runs. Raises InputError."""
    check_folder(group, where)
    if group in TAKEN.values():
        raise InputError(f"{where}: {group} is what evaluations/<group>/{group} is called; choose another name")


def check_run(run: Run, params: Params, where: str) -> Run:
    """The run, its `model` as its family reads it: 1 and 1.0 are one learning rate.

    Raises:
        InputError: it does not fit the rest of the params, or its family.
    """
    check_group(run.group, f"{where}.group")
    if run.dataset not in params.datasets:
        raise InputError(f"{where}.dataset: unknown data set {run.dataset!r}; {nearest(run.dataset, params.datasets)}")
    if run.dataset not in params.reference:
        raise InputError(f"{where}.dataset: reference.{run.dataset} is missing; it says how its models are judged")
    if run.resolution != (resolution := params.reference[run.dataset].resolution):
        raise InputError(
            f"{where}.resolution: {run.resolution}, reference.{run.dataset}.resolution is {resolution}; "
            "they are compared: equal"
        )
    parts = run.compute.workers * run.compute.grad_accum_steps
    if run.batch_size % parts:
        raise InputError(
            f"{where}.batch_size: {run.batch_size} cannot be cut evenly over {run.compute.workers} workers x "
            f"{run.compute.grad_accum_steps} grad_accum_steps; use a multiple of {parts}"
        )
    return run.model_copy(update={"model": check_family(run.family, run.model, f"{where}.model").model_dump()})


def check_models(name: str, params: Params, where: str) -> None:
    """The models that a run begins with or is made of are there, or other runs, trained before, will leave them.

    Raises:
        InputError: no run leaves such a model, or only one that waits for this one.
    """
    todo, seen = [name], {name}
    while todo:
        one = todo.pop()
        for field in ("warm_start", "part"):
            model = getattr(params.runs[one], field)
            if model is None or (model_folder(model) / "model.json").exists():
                continue
            maker = maker_of(model, params)
            if maker is None:
                known = nearest(model, [f"{run.group}/{other}" for other, run in params.runs.items() if other != one])
                raise InputError(f"{where}: runs.{one}.{field}: {model} is no trained model; {known}")
            if maker == name:
                raise InputError(
                    f"{where}: runs.{one}.{field}: {model} waits for runs.{name} itself; name another model"
                )
            if maker not in seen:
                seen.add(maker)
                todo.append(maker)


def maker_of(model: str, params: Params) -> str | None:
    """The run that leaves a model; None when no run does."""
    folder = PurePosixPath(posixpath.normpath(model))
    return next((name for name, run in params.runs.items() if folder.is_relative_to(f"{run.group}/{name}")), None)


def check_built(run: Run, params: Params, where: str) -> None:
    """The run's networks can be built for images of its resolution, as far as the params say what the images are.

    Raises:
        InputError: they cannot.
    """
    with shapes_only():
        try:
            family = built(run, params, where)
            check_grown(family, run, where)
            domains = check_dataset(params.datasets[run.dataset], where).describe().domains
            for domain in filter(None, streams_of(family).values()):
                if domain not in domains:
                    raise InputError(no_domain(run.family, domain, f"data set {run.dataset}"))
        except InputError as error:
            message = str(error)
            raise InputError(message if message.startswith(where) else f"{where}: {message}") from None
        except Exception:
            return  # a mistake in the family's code, which its training answers with the place


def check_grown(family: Family, run: Run, where: str) -> None:
    """A family that grows has the steps for it, unless it begins with one that has grown. Raises InputError."""
    if not isinstance(family, Grows) or run.warm_start is not None:
        return
    if run.steps < (needed := family.steps_to_grow(run.batch_size)):
        remedy = "give as many, or a schedule of fewer images in its model section"
        raise InputError(f"{where}.steps: {run.steps}; its images reach their full size at step {needed}: {remedy}")


def built(run: Run, params: Params, where: str) -> Family:
    """The run's family, with its part: that which is there, or that which another run will leave. Raises InputError."""
    part = None
    if run.part is not None:
        folder = model_folder(run.part)
        maker = None if (folder / "model.json").exists() else maker_of(run.part, params)
        if maker is None:
            part = export.build(export.describe(folder), str(folder))
        else:
            part = built(params.runs[maker], params, f"{where}.part: {maker}")
    return load_family(run.family, run.model, data_of(run, params, where), f"{where}.model", part)


def data_of(run: Run, params: Params, where: str) -> DataSpec:
    """What the run's family knows of its data, as far as the params say it. Raises InputError."""
    entry = check_dataset(params.datasets[run.dataset], f"{where}.dataset")
    described = entry.describe()
    image = ImageShape(*described.shape)
    if run.resolution is not None and run.resolution != image.height:
        if described.dtype == "float32":
            raise InputError(f"{where}.resolution: {run.dataset} holds points, which have no resolution; leave it out")
        if run.resolution < max(image.height, image.width):
            own, least = f"{image.height}x{image.width}", max(image.height, image.width)
            raise InputError(
                f"{where}.resolution: {run.resolution} is smaller than the {own} images of {run.dataset}; "
                f"give {least} or more"
            )
        image = ImageShape(image.channels, run.resolution, run.resolution)
    columns = {name: column.padded(image.height, image.width) for name, column in described.columns.items()}
    named_in_files = isinstance(entry.source, Classed) and entry.domains is None
    classes = UNKNOWN if named_in_files else len(described.classes)
    return DataSpec(image, classes, columns)
