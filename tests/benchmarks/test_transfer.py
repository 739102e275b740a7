"""How photographs are shared out, drawn and counted, and what the tables say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.pairs import Sample
from benchmarks.photos import is_reported
from benchmarks.sides import OURS
from benchmarks.transfer import Parting, crossed, few, main, score_cells, trained
from benchmarks.transfer_speed import PYTORCH, bars_of, enlarged
from fittingroom.errors import DataError

PHOTOS = [Path("photos") / name / f"{name}-{number}.jpg" for name in ("coat", "hat") for number in range(23)]


def classes(paths: list[Path]) -> Counter[str]:
    return Counter(path.parent.name for path in paths)


def test_each_photograph_is_answered_once_by_a_model_that_has_not_seen_it() -> None:
    partings = crossed(PHOTOS, 5)
    assert sorted(path for parting in partings for path in parting.test) == sorted(PHOTOS)
    for parting in partings:
        assert set(parting.train) == set(PHOTOS) - set(parting.test)
        assert all(4 <= count <= 5 for count in classes(list(parting.test)).values())


def test_the_folds_do_not_depend_on_the_order_of_the_photographs() -> None:
    assert [set(parting.test) for parting in crossed(PHOTOS[::-1], 5)] == [
        set(parting.test) for parting in crossed(PHOTOS, 5)
    ]


def test_few_are_so_many_of_each_class_and_part_of_more() -> None:
    ten, twenty = few(PHOTOS, 10, draw=1), few(PHOTOS, 20, draw=1)
    assert classes(ten) == {"coat": 10, "hat": 10}
    assert set(ten) < set(twenty)
    assert set(ten) != set(few(PHOTOS, 10, draw=2))
    assert len(few(PHOTOS, 100, draw=1)) == len(PHOTOS)


def test_accuracy_is_reported_of_each_half_by_itself() -> None:
    right = {path: is_reported(path) for path in PHOTOS}
    reported, chosen, both = score_cells(right)
    assert reported.startswith("100.0% (")
    assert chosen.startswith("0.0% (")
    assert both.startswith(f"{100 * sum(right.values()) / len(right):.1f}% (")
    assert score_cells({path: True for path in PHOTOS if is_reported(path)})[1] == ""


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two small pictures of each of two classes."""
    random, paths = np.random.default_rng(0), []
    for path in (tmp_path / "all" / name / f"{name}{number}.png" for name in ("a", "b") for number in range(2)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def test_enlarging_makes_as_many_pictures_as_wanted_no_two_alike(pictures: list[Path], tmp_path: Path) -> None:
    made = list(enlarged(pictures, tmp_path / "more", 12).glob("*/*.jpg"))
    assert len({path.read_bytes() for path in made}) == 12
    assert classes(made) == {"a": 6, "b": 6}
    with Image.open(made[0]) as picture:
        assert picture.size == (30, 40)


@pytest.mark.slow  # it trains
def test_a_run_is_trained_on_all_photographs_of_its_parting(pictures: list[Path], tmp_path: Path) -> None:
    run = trained(Parting(pictures, []), "linear", tmp_path / "fold")
    assert run.record.data.counts["train"] == 4


def test_ratios_are_taken_of_the_same_round() -> None:
    rounds = [
        {
            f"{OURS}, first training of transfer": Sample(2.0 * speed, 100, ""),
            f"{PYTORCH}, transfer": Sample(6.0 * speed, 400, ""),
        }
        for speed in (1, 5)
    ]
    time, memory = bars_of("transfer", rounds)
    assert (time.ratios().median, time.ratios().low, time.ratios().high) == (3, 3, 3)
    assert memory.ratios().median == 0.25


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        main([str(tmp_path)])
