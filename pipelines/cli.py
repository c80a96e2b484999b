"""The command `gen`: its subcommands are a stage each, and what is no stage. Heavy imports wait inside them."""

import importlib
import sys
from pathlib import Path

import click

from pipelines import command

STAGES = {
    "fetch": "Fetch a data set's published files: gen fetch mnist",
    "prepare": "Prepare a data set: gen prepare digits",
    "reference": "Look at the real images of a data set: gen reference digits",
    "train": "Train a run: gen train digits_wgan",
    "evaluate": "Measure a trained run: gen evaluate digits_wgan",
    "svm": "See how far few labels go: gen svm digits_ali",
    "sweep": "Search hyperparameters: gen sweep digits_lambda",
    "compare": "Compare a group of runs: gen compare digits",
    "critics": "Look into a group's critics: gen critics swissroll",
    "demo": "Train and compare the group digits: gen demo",
    "ui": "Show the runs in MLflow: gen ui --port 5001",
}
"""What `dvc repro <stage>@<name>` runs, and the commands beside it: each is the module of that name."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train, sweep and compare deep generative models.

    \b
    examples:
      gen init photos/              entries of params.yaml for your own pictures
      dvc repro evaluate@photos_dcgan   build all that this needs
      gen train digits_wgan         one stage alone, without DVC
      gen ui                        the runs, in MLflow
    """  # noqa: D301


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="of the data set; by default the folder's.")
@click.option("--size", type=int, default=64, show_default=True, help="Pixels of height and width.")
@click.option("--params", type=click.Path(path_type=Path), default=command.PARAMS, show_default=True)
def init(folder: Path, name: str | None, size: int, params: Path) -> None:
    """Write the entries of params.yaml for the pictures in FOLDER, class by sub-folder.

    They are a data set, what its models are judged by, and a run.

    \b
    examples:
      gen init photos/
      gen init photos/ --name cats --size 32
    """  # noqa: D301
    from pipelines.own_pictures import add_entries

    print(add_entries(folder, name, size, params))


def stage(name: str, about: str) -> click.Command:
    """A stage as a subcommand, which gets all that follows it; `gen train --help` is the stage's own help."""

    def run(words: tuple[str, ...]) -> None:
        sys.argv = [name, *words]
        importlib.import_module(f"pipelines.{name}").main()

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        help=about,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )


for one, about in STAGES.items():
    cli.add_command(stage(one, about))


def main() -> None:
    """Run the command, with its errors in one line."""
    sys.exit(command.run(lambda: cli(prog_name="gen")))


if __name__ == "__main__":
    main()
