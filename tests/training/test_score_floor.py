"""The floor of a score: what real images have, by the code that scores models."""

import math
import statistics

import pytest
import torch

from gen.data.dataset import Dataset, open_dataset
from gen.evaluation.reference import Reference, open_reference, write_reference
from gen.extractors import AT_ONCE
from gen.training.loop import Loop, initial_family
from gen.training.score_floor import DRAWS, Judge, draws, floors, judge
from gen.training.scores import Coordinates, LightFrechet
from tests.families.small import IMAGES, POINTS
from tests.training.tiny import run_of


@pytest.fixture(scope="module")
def references(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    found = {}
    for name, extractor in (("ring8", "coordinates"), ("digits", "pixels")):
        folder = tmp_path_factory.mktemp(name) / extractor
        folder.mkdir()
        made = open_dataset(datasets[name].folder)
        write_reference(folder, extractor=extractor, dataset=made, resolution=None, notes={}, move=lambda images: None)
        found[name] = open_reference(folder)
    return found


def judge_of(dataset: Dataset, reference: Reference, samples: int, seed: int) -> Judge:
    found = judge(dataset, reference, "validation", samples, seed)
    assert found is not None
    return found


def test_a_model_and_real_images_are_scored_by_the_same_code(
    datasets: dict[str, Dataset], references: dict[str, Reference]
) -> None:
    """To the last bit."""
    run, ring = run_of("gan", POINTS), datasets["ring8"]
    loop = Loop(run, initial_family(run, ring), ring)
    scoring = judge_of(ring, references["ring8"], 64, run.seed)
    drawn = loop.sample("score", rows=scoring.samples).flatten(1)
    assert Coordinates(64)(loop) == scoring.score(drawn)

    run, digits = run_of("gan", IMAGES), datasets["digits"]
    loop, reference = Loop(run, initial_family(run, digits), digits), references["digits"]
    images = loop.sample("score", rows=100).split(AT_ONCE)
    seen = torch.cat([reference.extract(some).features for some in images])
    assert LightFrechet(reference, 100)(loop) == judge_of(digits, reference, 100, run.seed).score(seen)


def test_real_points_have_what_their_mixture_says(
    datasets: dict[str, Dataset], references: dict[str, Reference]
) -> None:
    """1 - exp(-9/2) of them are within three sigma; the sd of the share of n is sqrt(p (1 - p) / n)."""
    rows = datasets["ring8"].rows
    found = floors(datasets["ring8"], references["ring8"], 50, 0)
    share = 1 - math.exp(-9 / 2)
    assert found["high_quality"].mean == pytest.approx(share, abs=0.01)
    assert found["modes_covered"].mean == pytest.approx(8, abs=0.3)
    assert (found["high_quality"].draws, found["high_quality"].samples) == (DRAWS, min(50, rows["validation"]))
    assert 0 < found["sliced_wasserstein"].mean < 1


def test_real_images_are_nearer_than_a_models(datasets: dict[str, Dataset], references: dict[str, Reference]) -> None:
    run, digits, reference = run_of("gan", IMAGES), datasets["digits"], references["digits"]
    loop = Loop(run, initial_family(run, digits), digits)
    floor = floors(digits, reference, 100, 0)["fid_pixels"]
    assert 0 < floor.mean < LightFrechet(reference, 100)(loop)["fid_pixels"] / 3
    assert floor.sd is not None
    assert 0 < floor.sd < floor.mean


def test_more_samples_than_held_out_images_have_no_floor(
    datasets: dict[str, Dataset], references: dict[str, Reference]
) -> None:
    held = sum(datasets["digits"].rows[split] for split in ("test", "train"))
    assert floors(datasets["digits"], references["digits"], held + 1, 0) == {}
    alone = floors(datasets["digits"], references["digits"], held, 0)["fid_pixels"]
    assert (alone.draws, alone.sd) == (1, None)


def test_sets_of_real_images_share_none_where_there_are_enough() -> None:
    apart = torch.cat(list(draws(1000, 50)))
    assert len(apart) == len(set(apart.tolist())) == 50 * DRAWS
    drawn = list(draws(300, 200))
    assert len(drawn) == DRAWS
    assert all(len(set(rows.tolist())) == 200 for rows in drawn)
    values = torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    means = statistics.stdev(float(values[rows].mean()) for rows in drawn) / math.sqrt(1 - 200 / 300)
    assert means == pytest.approx(float(values.std()) / math.sqrt(200), rel=0.4), "as of new ones"
