"""The command `gen`."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from gen.config.load import load_params
from gen.data.fetch import fetch
from gen.data.prepare import prepare
from gen.errors import InputError
from pipelines.cli import STAGES, cli
from pipelines.commands.own_pictures import add_entries

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for label in ("cat", "dog"):
        (tmp_path / "Photos" / label).mkdir(parents=True)
        for i in range(20):
            pixels = np.random.default_rng(i).integers(0, 256, (70, 70, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "Photos" / label / f"{i}.png")
    return Path("Photos")


def test_help_has_examples_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['gen', '--help']\n"
        "from pipelines.cli import main\n"
        "try: main()\n"
        "finally: print([one for one in ('torch', 'ray', 'mlflow', 'dvc', 'optuna') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gen init photos/" in done.stdout
    commands = [one.command or name for name, one in STAGES.items()]
    assert all(f"\n  {name} " in done.stdout for name in ("init", "show", "check", *commands))
    assert done.stdout.endswith("[]\n")


def test_a_stage_is_a_subcommand(photos: Path) -> None:
    for name, one in STAGES.items():
        asked = CliRunner().invoke(cli, [one.command or name, "--help"])
        assert asked.exit_code == 0
        assert "--params PATH" in asked.output
        assert f"example: {one.example}" in asked.output
    done = CliRunner().invoke(cli, ["fetch", "--params", "params.yaml", "digits"])
    assert done.output == "fetched data/raw/digits: nothing to fetch\n"


def test_own_pictures_get_their_entries(photos: Path) -> None:
    before = Path("params.yaml").read_text().splitlines()
    message = add_entries(photos, None, 32, Path("params.yaml"))
    assert message.splitlines() == [
        "params.yaml: datasets.photos (40 pictures of 2 classes), reference.photos and runs.photos_dcgan are added",
        "now: dvc repro compare@photos, and then open comparisons/photos/index.html",
    ]
    after = Path("params.yaml").read_text().splitlines()
    rest = iter(after)
    assert all(line in rest for line in before)  # in their order: nothing but the entries is new
    for place, line in enumerate(before):
        if line.startswith("# "):  # a comment on the section that follows stays above it
            assert after[after.index(line) + 1] == before[place + 1]
    params = load_params("params.yaml")
    assert params.run("photos_dcgan").resolution == params.reference["photos"].resolution == 32
    assert params.reference["photos"].extractors == ("classifier",)
    assert params.compare[-1] == "photos"
    fetch("photos", params.datasets["photos"], "here", Path("raw"), mirror=None)
    assert prepare("photos", params.datasets["photos"], "here", Path("raw"), Path("made")).classes == ("cat", "dog")


def test_own_pictures_are_scored_when_checkpoints_are_saved(photos: Path) -> None:
    text = Path("params.yaml").read_text().replace("checkpoint_every: 250", "checkpoint_every: 50")
    Path("params.yaml").write_text(text.replace("score_every: 250", "score_every: 300"))
    for every, scored in ((100, 200), (300, 300), (60, 240)):
        edited = Path("params.yaml").read_text()
        Path(f"{every}.yaml").write_text(edited.replace("checkpoint_every: 50", f"checkpoint_every: {every}"))
        add_entries(photos, None, 32, Path(f"{every}.yaml"))
        assert load_params(f"{every}.yaml").reference["photos"].score_every == scored


@pytest.mark.parametrize(
    ("name", "size", "line"),
    [
        ("digits", 32, "params.yaml: datasets.digits: is there already; give another name with --name"),
        (None, 48, "params.yaml: runs.photos_dcgan: image of 48x48: convolutional networks make squares of"),
        ("my photos", 32, "--name: 'my photos' cannot be a folder; use small letters, digits, - and _"),
    ],
)
def test_what_would_not_do_is_not_written(name: str | None, size: int, line: str, photos: Path) -> None:
    before = Path("params.yaml").read_bytes()
    with pytest.raises(InputError) as caught:
        add_entries(photos, name, size, Path("params.yaml"))
    assert str(caught.value).startswith(line)
    assert Path("params.yaml").read_bytes() == before
    assert {path.name for path in Path().iterdir()} == {"params.yaml", "Photos"}


def test_what_is_no_folder_of_pictures_is_said(photos: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"Photos/cat/notes.txt: not a picture"):
        add_entries(photos, None, 32, Path("params.yaml"))


def test_a_run_is_shown_whole_and_a_file_checked(photos: Path) -> None:
    shown = CliRunner().invoke(cli, ["show", "digits_wgan"])
    assert yaml.safe_load(shown.output)["digits_wgan"] == load_params("params.yaml").run("digits_wgan").model_dump()
    assert CliRunner().invoke(cli, ["check"]).output.startswith("params.yaml: sound; ")
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("clip: 0.01", "clipp: 0.01", 1))
    with pytest.raises(InputError, match="clipp: unknown; did you mean clip"):
        CliRunner().invoke(cli, ["check"], catch_exceptions=False)


def test_a_run_that_dvc_could_not_read_is_not_sound(photos: Path) -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("    part:\n", "", 1))
    assert CliRunner().invoke(cli, ["check"]).output.startswith("params.yaml: sound"), "without DVC none reads it"
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    with pytest.raises(InputError, match=r"^params.yaml: runs.digits_gan: without `part:` DVC cannot read dvc.yaml"):
        CliRunner().invoke(cli, ["check"], catch_exceptions=False)


def test_a_shell_completes_entries(photos: Path) -> None:
    asked = CliRunner().invoke(
        cli,
        env={"_GEN_COMPLETE": "bash_complete", "COMP_WORDS": "gen train digits_wgan", "COMP_CWORD": "2"},
        prog_name="gen",
    )
    assert asked.output.split() == ["plain,digits_wgan", "plain,digits_wgan_gp"]
