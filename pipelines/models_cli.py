"""Commands of `gen` that look at one trained model. Heavy imports wait inside them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

MODEL = (
    "MODEL is its folder, the name of its run, or its address in MLflow: models:/NAME@best, models:/NAME/1, "
    "runs:/ID/NAME."
)
OUT = "FILE ends in .png, .gif, .mp4 (a film) or .npz (numbers)."
AnyCommand = Callable[..., Any]


def out_option(name: str) -> Callable[[AnyCommand], AnyCommand]:
    """Where to write, by default a picture of that name."""
    return click.option(
        "--out", type=click.Path(path_type=Path), default=Path(name), show_default=True, help=OUT, metavar="FILE"
    )


model_argument = click.argument("model")
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn.")
data_option = click.option(
    "--data", type=click.Path(path_type=Path), metavar="FOLDER", help="The prepared data set, if elsewhere."
)
project_option = click.option(
    "--project", is_flag=True, help="Find latent vectors by optimisation, as models without an encoder need it."
)
fit_option = click.option("--fit", is_flag=True, help="Crop and resize your pictures to the model's size.")


def sourced(options: dict[str, Any]) -> dict[str, Any]:
    """The options with those that say where latent vectors come from as one, their `source`."""
    from pipelines.commands.latent import Source

    kinds = {name: options.pop(name) for name in ("seed", "data", "project", "fit") if name in options}
    return options | {"source": Source(**kinds)}


def examples(*lines: str) -> str:
    """The end of a command's help: what a model is, and commands to begin with."""
    return f"{MODEL}\n\n\b\nexamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.command(
    epilog=examples(
        "gen sample digits_cgan --label 3 --rows 32 --out threes.png", "gen sample digits_vae --latents z.npz"
    )
)
@model_argument
@click.option("--rows", default=64, show_default=True, help="How many.")
@seed_option
@click.option("--label", help="The class of all of them, of a conditional family: its number or name.")
@click.option("--latents", type=click.Path(path_type=Path), help="Decode the array z of this .npz file instead.")
@out_option("samples.png")
def sample(model: str, **options: Any) -> None:
    """Draw samples of MODEL."""
    from pipelines.commands import sample as command

    print(command.sample(model, **options))


@click.command(
    epilog=examples(
        "gen interpolate digits_dcgan --pairs 4 --steps 8",
        "gen interpolate digits_dcgan --steps 24 --out round.gif",
        "gen interpolate digits_dcgan --walk --out walk.mp4",
    )
)
@model_argument
@click.option("--pairs", default=4, show_default=True, help="Paths.")
@click.option("--steps", default=8, show_default=True, help="From one end of a path to the other.")
@seed_option
@click.option("--walk", is_flag=True, help="A random walk instead, of 2 x pairs x steps images.")
@out_option("interpolations.png")
def interpolate(model: str, **options: Any) -> None:
    """Draw paths through the latent space of MODEL: straight, and great circles; films go round along great circles."""
    from pipelines.commands import sample as command

    print(command.interpolate(model, **options))


@click.command(
    epilog=examples(
        "gen analogy digits_vae",
        "gen analogy digits_vae a.png b.png c.png --fit --out abc.gif",
        "gen analogy digits_dcgan --concept 0,5,9 --concept 3,4,8 --concept 1,2,7",
    )
)
@model_argument
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--latents", type=click.Path(path_type=Path), help="A, B and C are the array z of this .npz file.")
@click.option(
    "--concept",
    "concepts",
    multiple=True,
    metavar="I,J,K",
    help="Arithmetic instead: the first concept, less the second, plus the third, each the mean of three samples, by "
    "their numbers in gen sample, counted from 0.",
)
@click.option("--rows", default=7, show_default=True, help="Of the diagram.")
@click.option("--columns", default=7, show_default=True, help="Of the diagram.")
@seed_option
@project_option
@fit_option
@data_option
@out_option("analogy.png")
def analogy(model: str, pictures: Sequence[Path], concepts: Sequence[str], **options: Any) -> None:
    """Draw the J-diagram A : B :: C : D of three PICTURES; without any, of validation images or of draws."""
    from gen.errors import InputError
    from pipelines.commands import latent as command

    if len(concepts) not in (0, 3):
        raise InputError(f"--concept: given {len(concepts)} times; arithmetic has three: one, less one, plus one")
    options = sourced(options)
    if concepts:
        print(command.arithmetic(model, concepts, options["source"], options["out"]))
    else:
        print(command.analogy(model, pictures, **options))


@click.command(
    epilog=examples(
        "gen mine digits_vae", "gen mine digits_vae --start 17", "gen mine digits_vae --start mine.png --fit"
    )
)
@model_argument
@click.option("--start", default="0", show_default=True, help="A test image by its number, or a picture's file.")
@click.option("--rows", default=3, show_default=True, help="Of neighbours.")
@click.option("--columns", default=5, show_default=True, help="Of neighbours.")
@click.option("--gap", type=click.IntRange(0), default=2, show_default=True, help="Images between two neighbours.")
@click.option("--images", default=1000, show_default=True, help="Test images to look among, at most.")
@seed_option
@project_option
@fit_option
@data_option
@out_option("mine.png")
def mine(model: str, start: str, **options: Any) -> None:
    """Draw the neighbours of a test image on a grid, and what MODEL makes of the places between them."""
    from pipelines.commands import latent as command

    print(command.mine(model, start, **sourced(options)))


@click.command(
    epilog=examples(
        "gen attributes digits_vae",
        "gen attributes digits_vae --name 8 --balance bright",
        "gen attributes celeba_vae --name Smiling --with Mouth_Slightly_Open",
        "gen attributes celeba_vae --name Blurry --blur 1.5",
    )
)
@model_argument
@click.option("--name", help="The attribute: a class, or a column that is true or false. Without it: lists them.")
@click.option("--balance", metavar="OTHER", help="Balance it across another attribute, with which it is correlated.")
@click.option("--with", "second", metavar="OTHER", help="Both on one grid, each balanced across the other.")
@click.option("--blur", type=float, metavar="SIGMA", help="Take a synthetic blur of so many pixels away.")
@click.option("--images", default=2000, show_default=True, help="Training images that vectors are the means of.")
@click.option("--reach", default=2.0, show_default=True, help="How many times the vector, at the ends.")
@click.option("--steps", default=4, show_default=True, help="In each direction.")
@seed_option
@project_option
@data_option
@out_option("attributes.png")
def attributes(model: str, name: str | None, second: str | None, **options: Any) -> None:
    """Draw test images along attribute vectors of MODEL's latent space."""
    from gen.errors import InputError
    from pipelines.commands import latent as command

    balance, blur = options.pop("balance"), options.pop("blur")
    if name is None and (balance or second):
        raise InputError("--balance and --with are for an attribute; give it: --name")
    wanted = command.Wanted(name=name, balance=balance, second=second, blur=blur)
    print(command.attribute_pictures(model, wanted, **sourced(options)))


@click.command(
    epilog=examples("gen project digits_dcgan", "gen project digits_dcgan mine.png --fit --steps 500 --out z.npz")
)
@model_argument
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--steps", default=200, show_default=True, help="Of the optimisation.")
@seed_option
@fit_option
@data_option
@out_option("projection.png")
def project(model: str, pictures: Sequence[Path], **options: Any) -> None:
    """Find PICTURES, or the first test images, in the latent space of MODEL by optimisation."""
    from pipelines.commands import latent as command

    print(command.project(model, pictures, **sourced(options)))


@click.command(
    epilog=examples(
        "gen translate digits_small_pix2pix mine.png --fit --out pairs.png",
        "gen translate digits_small_pix2pix photos/ --fit --out translated/",
        "gen translate digits_unpaired_cycle_gan eights/ --fit --back --out threes.png",
    )
)
@model_argument
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@seed_option
@fit_option
@click.option("--back", is_flag=True, help="From the target's domain into the other, by a model that has both ways.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("translated"),
    show_default=True,
    help="A folder for one .png each, or a file: a .png of pairs, an .npz of numbers.",
    metavar="FOLDER",
)
def translate(model: str, pictures: Sequence[Path], **options: Any) -> None:
    """Translate PICTURES, files or folders, by MODEL."""
    from pipelines.commands.translate import translate as command

    print(command(model, pictures, **options))


@click.command(epilog=examples("gen info digits_vae", "gen info models:/digits_gan@best"))
@model_argument
@data_option
def info(model: str, data: Path | None) -> None:
    """Say what MODEL is, what it can do, and which commands show it."""
    from pipelines.commands.info import info as command

    print(command(model, data))


COMMANDS = (sample, interpolate, analogy, mine, attributes, project, translate, info)
