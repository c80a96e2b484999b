"""The model card beside a model."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import gen
from gen import export
from gen.card import README, card, write_card
from gen.evaluation.sampling import Summary
from gen.families import load_family
from pipelines.reports.model_card import evaluated_card, trained_card
from tests.families.small import IMAGES, POINTS, data_of, forms, small

DIGITS = {"name": "digits", "digest": "d" * 64, "classes": list("01234567")}
PROTOCOL = {
    "floor": {"fid_classifier": {"mean": 4.7, "sd_draws": 1.9, "images": 200}},
    "trainings": [{"seed": 0}],
    "samples": 1000,
    "real_images": 297,
    "seeds": 3,
}


def saved(folder: Path, family: str, image: Any = IMAGES, **notes: Any) -> Path:
    settings, data = small(family, image)[0], data_of(image)
    torch.manual_seed(0)
    model = load_family(family, settings, data).train(False)
    export.save(folder, model, family, settings, data, dataset=DIGITS, **notes)
    return folder


def parts(text: str) -> tuple[dict[str, Any], str]:
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.mark.parametrize(("family", "image"), forms())
def test_every_family_has_a_card(family: str, image: Any, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", family, image)
    write_card(folder, export.load(folder))
    front, body = parts((folder / README).read_text(encoding="utf-8"))
    assert front == {"library_name": "gen", "tags": ["generative", family], "datasets": ["digits"]}
    for title in ("Data", "What it can do", "Numbers", "Limits", "How to load it", "How it was trained"):
        assert f"\n## {title}\n" in body
    assert ("of points of the plane" in body) == (image == POINTS)
    assert "grid.png" not in body, "there is none"


def test_the_code_of_a_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for family in ("vae", "cgan", "gan"):
        folder = saved(tmp_path / family, family)
        write_card(folder, export.load(folder))
        (code,) = re.findall(r"```python\n(.*?)```", (folder / README).read_text(encoding="utf-8"), re.DOTALL)
        scope: dict[str, Any] = {}
        exec(code.replace("path/to/this/folder", str(folder)), scope)
        assert scope["images"].shape == (64, 1, 16, 16)
        assert ("again" in scope) == (family == "vae")


def test_a_model_saved_from_python_has_a_card(tmp_path: Path) -> None:
    model = gen.load(saved(tmp_path / "model", "vae"))
    folder = gen.save(model, tmp_path / "again")
    text = (folder / README).read_text(encoding="utf-8")
    assert "Kingma & Welling 2014" in text
    assert "Nothing was measured yet." in text
    assert "- say a lower bound of the likelihood of an image" in text
    assert "of 8 classes: 0, 1, 2" in text


def test_a_trained_card_has_the_scores_of_its_checkpoint(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "dcgan", step=500, run="digits_dcgan", seconds=12.3)
    (folder / "grid.png").write_bytes(b"")
    history = [
        {"step": 250, "validation/fid_classifier": 30.0},
        {"step": 500, "validation/fid_classifier": 20.5, "loss/generator": 1.0},
    ]
    trained_card(folder, {"steps_done": 500, "history": history})
    text = (folder / README).read_text(encoding="utf-8")
    assert re.search(r"\| fid_classifier +\| 20.5 +\|", text)
    assert "30" not in text.partition("## Numbers")[2].partition("## Limits")[0]
    assert "best of several" in text
    assert "![samples](grid.png)" in text
    assert "after 500 steps; training took 12 s" in text
    assert "# digits_dcgan" in text


def test_an_evaluated_card_has_numbers_with_spreads_and_the_floor(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "dcgan", run="digits_dcgan")
    measured = {"fid_classifier": Summary(12.9, 0.7, None), "kid_classifier_subset_sd": Summary(0.1, 0.0, None)}
    evaluated_card(folder, measured, PROTOCOL)
    front, body = parts((folder / README).read_text(encoding="utf-8"))
    assert re.search(r"\| fid classifier +\| 12.9 \(0.7\) +\| 4.70 \(1.90\) +\| smaller +\|", body)
    assert "Of 1,000 samples against the 297 images of the test split. It was trained once" in body
    (model,) = front["model-index"]
    assert model["name"] == "digits_dcgan"
    (result,) = model["results"]
    assert {"name": "fid_classifier", "type": "fid", "value": 12.9} in result["metrics"]
    assert result["dataset"] == {"name": "digits", "type": "digits"}
    several = PROTOCOL | {"trainings": [{}, {}, {}]}
    evaluated_card(folder, {"fid_classifier": Summary(12.9, 0.7, 1.1)}, several)
    body = (folder / README).read_text(encoding="utf-8")
    assert "12.9 ± 1.1 (0.7)" in body
    assert "the spread over 3 trainings" in body


def test_a_card_of_an_old_model_says_what_it_does_not_know(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "gan")
    described = {name: value for name, value in export.describe(folder).items() if name != "dataset"}
    assert "It does not say what it was trained on." in card(described, export.load(folder))
