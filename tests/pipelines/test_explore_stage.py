"""The stage explore@ for real, on digits and models that nobody has trained, and its part of the page."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from gen.config.load import load_params
from gen.data.dataset import open_dataset
from gen.errors import InputError
from gen.evaluation.reference import write_reference
from pipelines.reports.page_latent import EXPLAINED, latent_spaces, meaning
from pipelines.stages.code import roots
from pipelines.stages.explore import main
from tests.executed import executed, uncounted
from tests.pipelines.conftest import PARAMS
from tests.pipelines.evaluating import REFERENCE, changed, digits_run, edited, untrained
from tests.training.tiny import DIGITS, prepared


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models whose latent spaces were explored: one with an encoder and attributes, one with neither."""
    place = tmp_path_factory.mktemp("explored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        digits = prepared(place)
        (place / "data" / "reference" / "digits" / "pixels").mkdir(parents=True)
        digits.folder.parent.rename(place / "data" / "prepared")
        write_reference(
            place / "data" / "reference" / "digits" / "pixels",
            extractor="pixels",
            dataset=open_dataset(place / "data" / "prepared" / "digits"),
            resolution=16,
            notes={},
            move=lambda images: None,
        )
        for family in ("ali", "dcgan"):
            untrained(place, family)
        write(place)
        for run in ("ali", "dcgan"):
            main(run, Path("params.yaml"))
    return place


@pytest.fixture(autouse=True)
def _here(explored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(explored)


def write(place: Path, **entry: Any) -> None:
    """The params, with some of the entry of the run ali changed."""
    small = {"dataset": "digits", "group": "tiny", "images": 100, "projected": 16, "classifier_steps": 4}
    explore = {"ali": small | {"attribute": "8", "other": "bright"} | entry, "dcgan": small}
    reference = REFERENCE | {"extractors": ["pixels"], "classifier_steps": 0}
    params = PARAMS | {"datasets": {"digits": DIGITS}, "reference": {"digits": reference}, "compare": ["tiny"]}
    runs = {family: digits_run(family) for family in ("ali", "dcgan")}
    (place / "params.yaml").write_text(yaml.safe_dump(params | {"runs": runs, "explore": explore}))


def refused(run: str) -> str:
    with pytest.raises(InputError) as raised:
        main(run, Path("params.yaml"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def home(place: Path, run: str) -> Path:
    return place / "evaluations" / "tiny" / "latent" / run


def drawn(place: Path, run: str) -> set[str]:
    return {path.name for path in (home(place, run) / "pictures").iterdir()}


def test_the_standard_pictures_follow_what_a_family_and_its_data_have(explored: Path) -> None:
    assert drawn(explored, "ali") | {"arithmetic.png"} == set(EXPLAINED)
    of_attributes = {"attribute.png", "balanced.png", "decoupled.png", "arithmetic.png"}
    assert drawn(explored, "dcgan") == set(EXPLAINED) - of_attributes
    for run in ("ali", "dcgan"):
        for path in (home(explored, run) / "pictures").iterdir():
            with Image.open(path) as picture:
                picture.load()
                assert min(picture.size) >= 32
        assert (home(explored, run) / "film.mp4").stat().st_size > 1000


def test_every_number_is_explained(explored: Path) -> None:
    found = json.loads((home(explored, "ali") / "metrics.json").read_text())
    assert all(meaning(name) for name in found)
    assert {"unexplained_by_encoder", "unexplained_by_projection", "balanced_leak"} < set(found)
    plain = json.loads((home(explored, "dcgan") / "metrics.json").read_text())
    assert "unexplained_by_encoder" not in plain
    assert not any("leak" in name for name in plain)
    protocol = json.loads((home(explored, "ali") / "protocol.json").read_text())
    assert (protocol["attribute"], protocol["training_images"], protocol["projected"]) == ("8", 100, 16)


def test_the_page_has_them_beside_their_numbers(explored: Path) -> None:
    shown = "".join(latent_spaces("tiny", ["ali", "dcgan", "gone"]))
    assert shown.count("<figure") == len(drawn(explored, "ali")) + len(drawn(explored, "dcgan"))
    assert shown.count("data:image/gif") == 2
    assert "unexplained by encoder" in shown
    assert latent_spaces("tiny", ["gone"]) == []
    protocol = home(explored, "ali") / "protocol.json"
    with (
        changed(protocol, edited(protocol, "weights_sha256", ["0"])),
        pytest.raises(ValueError, match="latent/ali: of other weights than models/tiny/ali has; run dvc repro expl"),
    ):
        latent_spaces("tiny", ["ali"])
    picture = home(explored, "ali") / "pictures" / "analogy.png"
    sound = picture.read_bytes()
    picture.write_bytes(sound[:100])
    with pytest.raises(InputError, match=r"analogy.png: damaged; run dvc repro -s -f explore@ali"):
        latent_spaces("tiny", ["ali"])
    picture.write_bytes(sound)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"attribute": "Smiling"}, "attribute: 'Smiling': the data set has none of that name; known: bright, 0, 1"),
        ({"attribute": None}, "explore.ali: other: bright; it is beside another attribute: name that as attribute"),
        ({"group": "other"}, "explore.ali: dataset and group are those of the run, digits and tiny"),
        ({"projected": 3}, "explore.ali.projected: input should be greater than or equal to 16"),
        ({"attribut": "8"}, "explore.ali.attribut: unknown; did you mean attribute?"),
    ],
)
def test_what_cannot_be_explored_is_one_line(explored: Path, entry: dict[str, Any], message: str) -> None:
    before = (home(explored, "ali") / "metrics.json").read_bytes()
    write(explored, **entry)
    assert message in refused("ali")
    assert (home(explored, "ali") / "metrics.json").read_bytes() == before
    write(explored)


def test_a_run_without_an_entry_or_a_latent_space_is_told_so(explored: Path) -> None:
    assert refused("alli") == "params.yaml: explore.alli: no such entry; did you mean ali?"
    path = explored / "params.yaml"
    values = yaml.safe_load(path.read_text())
    values["runs"]["pixels"] = values["runs"]["ali"] | {"family": "pixel_cnn", "model": {}}
    values["explore"]["pixels"] = {"dataset": "digits", "group": "tiny"}
    path.write_text(yaml.safe_dump(values))
    assert "explore.pixels: pixel_cnn has no latent vector with a prior; take the entry out" in refused("ali")
    write(explored)


def test_what_the_stage_runs_is_in_its_digest(explored: Path) -> None:
    """But families' own files: their models say what code they are of."""
    with executed() as checked:
        load_params(explored / "params.yaml")
    with executed() as ran:
        main("ali", Path("params.yaml"))
    assert uncounted(ran - checked, *roots()["explore"], "gen.families.ali", "gen.families.dcgan") == set()
