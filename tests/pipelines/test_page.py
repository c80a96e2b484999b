"""The page of a comparison in a real browser."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gen.figures.grid import grid, png, webp
from pipelines.reports.curves import Curves
from pipelines.reports.lead import Verdict
from pipelines.reports.page import Trainings, page
from pipelines.reports.page_experiments import Experiment, chosen
from pipelines.reports.page_table import TrainingRow
from pipelines.reports.results import Evaluation
from pipelines.tracking.tracked import Tracked
from tests.browser import seen

ADDRESS = "http://127.0.0.1:5000/#/experiments/1/runs/"
COUNTS = {
    "precision_recall_memorisation": 60,
    "kernel_subsets": 5,
    "kernel_subset": 60,
    "training_images": 500,
}


def evaluation(seeds: list[int], real_images: int = 60) -> Evaluation:
    extractor = {"sha256": "", "reference_sha256": "a", "singular_covariance": False, "counts": COUNTS}
    floor = {"fid_pixels": {"mean": 2.0, "sd_draws": 0.5, "images": 300}}
    return Evaluation.model_validate(
        {
            "weights_sha256": ["a" for _ in seeds],
            "trainings": [{"seed": seed, "step": 20, "metrics": {"fid_pixels": 7.0 + seed}} for seed in seeds],
            "dataset": "digits",
            "split": "test",
            "real_images": real_images,
            "samples": 300,
            "seeds": 2,
            "averaged_weights": True,
            "extractors": {"pixels": extractor},
            "floor": floor,
            "score_floor": floor,
        }
    )


def curve(values: dict[int, float]) -> Curves:
    frame = pd.DataFrame({"step": list(values), "value": list(values.values())})
    return {"generator": frame.assign(value=-frame["value"]), "fid_pixels": frame}


def trainings(folder: Path, run: str, seeds: list[int], lr: float) -> Trainings:
    """Those of a run, with pictures after 0, 10 and 20 steps: ever lighter ones."""
    folders, rows, curves = {}, [], {}
    for i, seed in enumerate(seeds):
        name = run if i == 0 else f"{run}-seed{seed}"
        folders[name] = folder / name
        (folder / name / "grids").mkdir(parents=True)
        for step in (0, 10, 20):
            image = grid(torch.full((4, 1, 16, 16), step / 20 - 0.9))
            (folder / name / "grids" / f"samples-{step:08d}.webp").write_bytes(webp(image))
        (folder / name / "grid.png").write_bytes(png(image))
        rows.append(
            TrainingRow(
                name=name,
                seed=seed,
                step=20,
                metrics={"fid_pixels": 7.0 + seed},
                settings={"seed": seed, "group": "tiny", "model.lr": lr},
                seconds=100.0,
                address=f"{ADDRESS}{name}",
            )
        )
        curves[name] = curve({10: 90.0 + seed, 20: 7.0 + seed})
    return Trainings(rows=rows, folders=folders, curves=curves)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    table = pd.DataFrame(
        {
            "family": ["gan", "wgan", "real"],
            "trainings": ["3", "1", ""],
            "best step": ["20; 20; 20", "20", ""],
            "fid pixels": ["8.00 ± 1.00 (0.10)", "12.0 (0.1)", "2.00 (0.50)"],
        },
        index=["<gan>", "wgan", "held-out real data"],
    )
    tried = [
        Tracked(
            training="wgan",
            attempt="b",
            address=f"{ADDRESS}tried",
            change=change,
            dvc_experiment="lofty-cove",
            metrics={"test/fid_pixels": score, "test_sd_draws/fid_pixels": 0.5, "seconds": 50.0} if score else {},
            settings={"family": "wgan", "seeds": "1", "seed": "0", "model.lr": "0.3"},
            checkpoints=tmp_path / "tried",
        )
        for change, score in (("clip=0.2", 30.0), ("clip=0.02", 9.0), ("clip=2", None), ("clip=0.02", 8.0), ("", 11.0))
    ]
    trainings(tmp_path, "tried", [0], 0.3)
    text = page(
        "tiny",
        "fid_pixels",
        table,
        leading=Verdict(None, [], "No run leads."),
        protocols={"<gan>": evaluation([0, 1, 2]), "wgan": evaluation([0])},
        trainings={
            "<gan>": trainings(tmp_path, "<gan>", [0, 1, 2], 0.1),
            "wgan": trainings(tmp_path, "wgan", [0], 0.2),
        },
        tried=[
            Experiment(tracked=one, curves=curve({10: 50.0, 20: 9.0}))
            for one in chosen("fid_pixels", tried, ["<gan>", "wgan"])
        ],
        samples=png(grid(torch.zeros(4, 1, 16, 16))),
        families=pd.DataFrame({"encoder": ["yes", "no"]}, index=["<gan>", "wgan"]),
    )
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


HELP = """
const all = css => [...document.querySelectorAll(css)];
const texts = css => all(css).filter(one => one.checkVisibility()).map(one => one.textContent.trim());
const tick = text => all("label").find(one => one.textContent.trim() === text).querySelector("input").click();
"""


def test_trainings_open_beneath_their_run_and_are_hidden_with_it(written: Path) -> None:
    message = seen(
        written,
        HELP
        + """
        const state = () => ({rows: texts("#runs tbody th"), lines: texts("#lines span"),
          figures: texts("#grids figcaption").length, paths: all("#chart path").length});
        const closed = state();
        document.querySelector("#runs button").click();
        const open = state();
        all("#runs thead th").find(head => head.textContent === "fid pixels").click();
        all("#runs thead th").find(head => head.textContent === "fid pixels").click();
        const sorted = texts("#runs tbody th");
        tick("<gan>");
        return {closed, open, sorted, hidden: state()};
    """,
    )
    assert message["closed"] == {
        "rows": ["▸<gan>", "wgan", "held-out real data"],
        "lines": ["<gan>", "wgan"],
        "figures": 2,
        "paths": 2,
    }
    further = ["<gan>", "<gan>-seed1", "<gan>-seed2"]
    assert message["open"]["rows"] == ["▾<gan>", *further, "wgan", "held-out real data"]
    assert (message["open"]["lines"], message["open"]["figures"]) == ([*further, "wgan"], 4)
    assert message["sorted"] == ["wgan", "▾<gan>", *further, "held-out real data"], "trainings stay with their run"
    assert message["hidden"] == {"rows": ["wgan", "held-out real data"], "lines": ["wgan"], "figures": 1, "paths": 1}


def test_the_chart_says_what_is_under_the_mouse(written: Path) -> None:
    message = seen(
        written,
        HELP
        + """
        const svg = document.querySelector("#chart svg"), box = svg.getBoundingClientRect();
        const at = share => {
          const clientX = box.left + box.width * share, clientY = box.top + 50;
          svg.dispatchEvent(new MouseEvent("mousemove", {clientX, clientY}));
          return texts("#near div");
        };
        const early = at(0.4), late = at(0.95), colours = all("#chart path").map(one => one.getAttribute("stroke"));
        svg.dispatchEvent(new MouseEvent("mouseleave"));
        const away = texts("#near div"), floor = texts("#chart text").includes("real data");
        const choice = document.getElementById("curve");
        const curves = [...choice.options].map(one => one.text);
        choice.value = "generator";
        choice.dispatchEvent(new Event("change"));
        return {early, late, away, floor, curves, colours, negative: at(0.95)};
    """,
    )
    assert message["early"] == ["<gan>: 90 at step 10", "wgan: 90 at step 10"]
    assert message["late"] == ["<gan>: 7 at step 20", "wgan: 7 at step 20"]
    assert message["away"] == []
    assert message["floor"]
    assert message["curves"] == ["fid pixels", "generator"], "the score comes first"
    assert len(set(message["colours"])) == 2
    assert message["negative"] == ["<gan>: -7 at step 20", "wgan: -7 at step 20"]


def test_an_experiment_that_is_chosen_is_compared_like_a_run(written: Path) -> None:
    message = seen(
        written,
        HELP
        + """
        const state = () => ({rows: texts("#runs tbody th"), lines: texts("#lines span"),
          figures: texts("#grids figcaption")});
        document.querySelector("details").open = true;
        const before = state(), boxes = texts("#which label");
        document.querySelector("[data-shows='wgan clip=0.02']").click();
        const after = state(), cells = all("#runs tbody tr").find(row => row.dataset.run === "wgan clip=0.02").cells;
        all("#runs thead th").find(head => head.textContent === "fid pixels").click();
        return {before, boxes, after, cells: [...cells].map(cell => cell.textContent), sorted: texts("#runs tbody th"),
          colours: new Set(all("#chart path").map(one => one.getAttribute("stroke"))).size};
    """,
    )
    assert message["boxes"] == message["before"]["lines"] == ["<gan>", "wgan"]
    assert message["before"]["rows"] == ["▸<gan>", "wgan", "held-out real data"]
    assert message["after"] == {
        "rows": ["▸<gan>", "wgan", "wgan clip=0.02", "held-out real data"],
        "lines": ["<gan>", "wgan", "wgan clip=0.02"],
        "figures": ["<gan>, step 20", "wgan, step 20", "wgan clip=0.02, step 20"],
    }
    assert message["cells"] == ["wgan clip=0.02", "wgan", "1", "", "50 s", "run", "9.00 (0.50)", "0", "0.3"]
    assert message["sorted"] == ["▸<gan>", "wgan clip=0.02", "wgan", "held-out real data"]
    assert message["colours"] == 3


def test_the_slider_shows_the_samples_of_each_step(written: Path) -> None:
    message = seen(
        written,
        HELP
        + """
        const slider = document.getElementById("step"), found = [];
        for (const value of [0, 1, 2]) {
          slider.value = value;
          slider.dispatchEvent(new Event("input"));
          found.push([document.querySelector("output").textContent, texts("#grids figcaption"),
            all("#grids img")[0].src.slice(0, 30), all("#grids img")[0].src.length]);
        }
        return [found, new Set(all("#grids img").map(one => one.src.startsWith("data:image/webp"))).size];
    """,
    )
    found, kinds = message
    assert [one[0] for one in found] == ["0", "10", "20"]
    assert found[1][1] == ["<gan>, step 10", "wgan, step 10"]
    assert kinds == 1


def test_hyperparameters_links_experiments_and_the_warning(written: Path) -> None:
    message: dict[str, Any] = seen(
        written,
        HELP
        + """
        const heads = () => texts("#runs thead th");
        document.querySelector("details").open = true;
        const before = heads();
        tick("all hyperparameters");
        const after = heads();
        const row = all("#runs tbody tr")[0];
        return {before, after, cells: [...row.cells].map(one => one.textContent.trim()),
          links: all("#runs a").map(one => one.href), warning: texts(".warning"),
          tried: all("table:not(#runs) tbody tr[data-run]").map(one => [...one.cells].map(cell => cell.textContent)),
          outside: all("img, script, link").map(one => one.src || one.href || "").filter(one => /^http/.test(one))};
    """,
    )
    shown = ["run", "family", "trainings", "best step", "training time", "MLflow", "fid pixels"]
    assert message["before"] == shown
    assert message["after"] == [*shown, "seed", "model.lr"], "the group is the page's own"
    assert message["cells"][4:] == ["5.0 min", "run", "8.00 ± 1.00 (0.10)", "0, 1, 2", "0.1"]
    assert [one.rpartition("/")[2] for one in message["links"]] == [
        "%3Cgan%3E",
        "%3Cgan%3E",
        "%3Cgan%3E-seed1",
        "%3Cgan%3E-seed2",
        "wgan",
        "tried",
        "tried",
    ]
    (warning,) = message["warning"]
    assert warning.startswith("Warning: only 60 test images: precision and recall say little")
    assert message["tried"] == [
        ["", "wgan", "clip=0.02", "9.00", "lofty-cove", "run"],
        ["", "wgan", "clip=0.2", "30.0", "lofty-cove", "run"],
    ], "the newest of each change"
    assert message["outside"] == []


def test_on_a_telephone_wide_things_scroll_and_can_be_read(written: Path) -> None:
    message = seen(
        written,
        """
        const svg = document.querySelector("#chart svg"), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + box.width * 0.55, clientY: box.top + 50}));
        const near = document.getElementById("near").getBoundingClientRect();
        return {
          page: document.documentElement.scrollWidth <= innerWidth,
          letters: document.querySelector("#chart text").getBoundingClientRect().height,
          near: box.left <= near.left && near.right <= box.right,
          samples: [...document.querySelectorAll(".wide")].map(one => getComputedStyle(one).overflowX),
          command: getComputedStyle(document.querySelector(".tools code").parentElement).display,
        };
    """,
        size=(500, 900),
    )
    assert message.pop("letters") > 8
    assert message == {"page": True, "near": True, "samples": ["auto"], "command": "block"}
