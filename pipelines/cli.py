"""The command `gen`: the stages that dvc.yaml runs, and what people run besides. Heavy imports wait inside commands."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from pipelines import models_cli
from pipelines.runtime import command, forkserver

PARAMS = Path("params.yaml")
params_option = click.option(
    "--params", type=click.Path(path_type=Path), default=PARAMS, show_default=True, help="The params file."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train, sweep and compare deep generative models.

    \b
    examples:
      gen demo                          train eleven families on digits and compare them
      dvc repro evaluate@digits_wgan    build all that this needs
      gen train digits_wgan             one stage alone, without DVC
      gen show digits_wgan              a run with all its settings
      gen init photos/                  entries of params.yaml for your own pictures
      gen ui                            the runs, in MLflow
      gen info digits_vae               a trained model, and the commands that show it
    """  # noqa: D301


class Stage(NamedTuple):
    """A stage of dvc.yaml: the module of its name in pipelines/stages."""

    about: str
    example: str
    section: str
    """Of the params file: what it is run for is an entry of it."""
    fresh: str = ""
    """What the option --fresh does; none where it is empty."""
    command: str = ""
    """Its name as a command, where it is not the stage's."""


STAGES = {
    "fetch": Stage(
        "Fetch a data set's published files into data/raw.", "GEN_MIRROR=/mnt/mirror gen fetch mnist", "datasets"
    ),
    "prepare": Stage("Prepare a data set as Parquet, into data/prepared.", "gen prepare digits", "datasets"),
    "reference": Stage(
        "See the real images as each extractor does, into data/reference.", "gen reference digits", "reference"
    ),
    "train": Stage(
        "Train a run and export its model, into models.",
        "gen train digits_wgan",
        "runs",
        "Do not go on from a checkpoint, as dvc repro -f does.",
    ),
    "evaluate": Stage("Measure a trained run, into evaluations.", "gen evaluate digits_wgan", "runs"),
    "svm": Stage("Classify by a model's features with few labels, into evaluations.", "gen svm digits_ali", "svm"),
    "explore": Stage(  # gen explore is the page
        "Draw the latent space of a run, into evaluations.", "gen latent digits_vae", "explore", command="latent"
    ),
    "sweep": Stage(
        "Search hyperparameters, into sweeps.",
        "gen sweep digits_lambda",
        "sweeps",
        "Train all trials anew, as dvc repro -f does.",
    ),
    "compare": Stage("Compare the runs of a group, into comparisons.", "gen compare digits", "compare"),
    "critics": Stage("Look into the critics of a group, into critics.", "gen critics swissroll", "critics"),
}


def stage(name: str, told: Stage) -> click.Command:
    """A stage as a subcommand: an entry of the params file, and the file."""

    def names(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        from gen.config.file import read_params

        try:
            entries = read_params(context.params.get("params") or PARAMS)[told.section]
        except Exception:  # a shell that completes a word wants no message
            return []
        return [CompletionItem(entry) for entry in entries if entry.startswith(typed)]

    def run(name_: str, params: Path, **options: bool) -> None:
        with command.ends_at_ctrl_c():
            module = importlib.import_module(f"pipelines.stages.{name}")
        command.aimed(params, lambda: module.main(name_, params, **options))

    options: list[click.Parameter] = [
        click.Argument(["name_"], metavar=f"ENTRY_OF_{told.section.upper()}", shell_complete=names)
    ]
    if told.fresh:
        options.append(click.Option(["--fresh"], is_flag=True, help=told.fresh))
    made = click.Command(
        told.command or name, callback=run, params=options, help=told.about, epilog=f"example: {told.example}"
    )
    return params_option(made)


for key, each in STAGES.items():
    cli.add_command(stage(key, each))


@cli.command(epilog="example: gen code")
def code() -> None:
    """Write digests of the code behind every stage, into data/code."""
    from pipelines.stages.code import main

    main()


@cli.command(epilog="example: gen demo")
def demo() -> None:
    """Train the runs of the group digits and compare them, on a Ray of its own."""
    from pipelines.commands.demo import main

    main(PARAMS)


@cli.command("all", epilog="example: gen all evaluate@digits_wgan evaluate@digits_gan --jobs 2")
@click.argument("targets", nargs=-1)
@click.option("--jobs", type=click.IntRange(1), help="Stages at a time; by default as many as there are CPUs for.")
@params_option
def build_all(targets: tuple[str, ...], jobs: int | None, params: Path) -> None:
    """Build stages of dvc.yaml and what they need as dvc repro does, but several at a time, on one Ray."""
    from pipelines.commands.all import main

    main(targets, params, jobs)


@cli.command(epilog="example: gen ui --port 5001")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of the page.")
def ui(port: int) -> None:
    """Show the runs in MLflow on localhost, and print the addresses of their tables and charts."""
    from pipelines.commands.ui import main

    main(port)


@cli.command(epilog="example: MLFLOW_TRACKING_URI=http://mlflow:5000 gen sync")
def sync() -> None:
    """Send MLflow what it could not be told in an outage, and mark runs whose process was killed as interrupted.

    The next stage that tracks something sends it, too.
    """
    from pipelines.commands.sync import main

    main()


@cli.command(epilog="example: gen init photos/ --name cats --resolution 32")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Of the data set; by default the folder's.")
@click.option("--resolution", type=int, default=64, show_default=True, help="Pixels of height and width.")
@params_option
def init(folder: Path, name: str | None, resolution: int, params: Path) -> None:
    """Write the entries of the params file for the pictures in FOLDER, class by sub-folder.

    They are a data set, what its models are judged by, and a run, whose group is compared.
    """
    from pipelines.commands.own_pictures import add_entries

    print(add_entries(folder, name, resolution, params))


for each_command in models_cli.COMMANDS:
    cli.add_command(each_command)


@cli.command(epilog="example: gen explore digits_vae --port 5051")
@click.argument("model")
@click.option("--port", type=click.IntRange(0, 65535), default=5050, show_default=True, help="0: any that is free.")
@click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    help="An .npz file of attribute vectors, by name or of gen attributes; by default those of the data set's labels.",
)
def explore(model: str, port: int, vectors: Path | None) -> None:
    """Show the latent space of MODEL, a folder or the name of a run, as a web page on this machine."""
    from pipelines.commands.explore import main

    main(model, port, vectors)


@cli.command(epilog="example: gen families")
def families() -> None:
    """List the families, and what each can do."""
    from pipelines.commands.families import listed

    print(listed(), end="")


@cli.command(epilog="example: gen show digits_wgan")
@click.argument("name")
@params_option
def show(name: str, params: Path) -> None:
    """Print a run of the params file with all its settings, defaults too, as it is tracked and exported."""
    from pipelines.commands.show import resolved

    print(resolved(name, params), end="")


@cli.command(epilog="example: gen check --params paper/params.yaml")
@params_option
def check(params: Path) -> None:
    """Check a params file whole: every run, sweep and data set, without building anything."""
    from pipelines.commands.show import summary

    print(summary(params))


@cli.command("full-size", epilog="example: gen full-size")
def full_size() -> None:
    """Write paper/dvc.yaml: the stages of dvc.yaml for the data sets and runs of paper/params.yaml."""
    from pipelines.commands.full_size import main

    main()


@cli.command("forkserver", hidden=True)
@click.argument("address")
@click.argument("modules", nargs=-1)
def serve(address: str, modules: tuple[str, ...]) -> None:
    """Import modules, and be the commands that ask for it at the address: what gen all starts."""
    forkserver.serve(address, modules, run)


def invoke(words: Sequence[str] | None = None) -> None:
    """Run the command that `words` are, by default the process's own; exceptions are the caller's, Ctrl-C as itself.

    Raises:
        SystemExit: there is no such command, or it takes other words; what is right was printed.
    """
    try:
        cli.main(words, prog_name="gen", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None


def run() -> int:
    """Run the command, with its errors in one line; returns the exit status."""
    status = command.run(invoke)
    command.end_at_once()
    return status


def main() -> None:
    """Run the command; where there is a forkserver, in a fork of that."""
    status = forkserver.continued()
    sys.exit(run() if status is None else status)
