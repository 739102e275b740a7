"""Benchmarks: methods on several datasets with several seeds, each cell in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import InputError, RunError, UnknownNameError
from fittingroom.experiments.benchmark_result import Benchmark
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.validation_outcomes import ValidationOutcomes

SMALL = Recipe(name="small", hidden=(8,), epochs=2)
METHODS: list[Any] = [SMALL, "sklearn:knn"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPZ file with 40 grey images of two classes, which a cell has trained on in no time."""
    place = tmp_path_factory.mktemp("tiny") / "tiny.npz"
    labels = np.arange(60) % 2
    images = np.random.default_rng(0).integers(0, 90, (60, 8, 8)).astype(np.uint8)
    images[labels == 1, 2:5] += 60
    arrays: dict[str, Any] = {
        "x_train": images[:40],
        "y_train": labels[:40],
        "x_test": images[40:],
        "y_test": labels[40:],
    }
    np.savez(place, **arrays)
    return place


@pytest.fixture(scope="module")
def done(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """A benchmark of two methods on two datasets with two seeds."""
    return fr.benchmark(["digits", tiny], METHODS, 2, out=tmp_path_factory.mktemp("benchmark") / "one", workers=1)


def test_every_cell_has_its_result_its_time_and_its_memory(done: Benchmark) -> None:
    assert done.datasets == ("digits", "tiny.npz")
    assert done.methods == ("small", "sklearn:knn")
    assert done.part == "validation"
    assert [result.status for result in done.results] == ["done"] * 4
    for result in done.results:
        for cell in result.cells:
            assert cell.accuracy is not None
            assert 0 <= cell.accuracy <= 1
            if cell.repeats is None:
                assert (cell.cell_seconds or 0) >= (cell.seconds or 0) > 0
                assert cell.memory is None or cell.memory > 0


def test_scores_are_those_of_the_runs(done: Benchmark) -> None:
    for scores in done.scores:
        for method, right in scores.right.items():
            result = done.result(scores.dataset, method)
            assert right.shape[0] == 2
            for row, cell in zip(right, result.cells, strict=True):
                kept = ValidationOutcomes.read(done.path / str(cell.run)).kept
                assert (row == kept.right).all()
                assert cell.accuracy == pytest.approx(row.mean())


def test_what_a_seed_changes_nothing_of_is_trained_once(done: Benchmark) -> None:
    neighbours = done.result("digits", "sklearn:knn")
    assert not neighbours.varies
    assert [cell.repeats for cell in neighbours.cells] == [None, 0]
    assert (done.scores[0].right["sklearn:knn"][0] == done.scores[0].right["sklearn:knn"][1]).all()
    assert done.result("digits", "small").varies


def test_a_stored_benchmark_reads_as_it_was(done: Benchmark) -> None:
    again = Benchmark.read(done.path)
    assert again.to_dict() == done.to_dict()
    for one, other in zip(again.scores, done.scores, strict=True):
        assert all((one.right[method] == other.right[method]).all() for method in other.right)
    assert done.page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_the_same_call_trains_nothing_and_gives_the_same_bits(done: Benchmark, tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.path.glob("experiments/*/runs/*/run.json")}
    assert len(before) == 6
    tables = [(done.path / name).read_bytes() for name in ("cells.csv", "right.npz")]
    again = fr.benchmark(["digits", tiny], METHODS, 2, out=done.path, workers=1)
    assert {path: path.stat().st_mtime_ns for path in again.path.glob("experiments/*/runs/*/run.json")} == before
    assert [(done.path / name).read_bytes() for name in ("cells.csv", "right.npz")] == tables


def test_what_makes_no_sense_is_refused_before_any_training(tmp_path: Path) -> None:
    out = tmp_path / "one"
    with pytest.raises(UnknownNameError, match=r"unknown executor 'process'\. Did you mean 'processes'"):
        fr.benchmark("digits", SMALL, out=out, executor="process")
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'sklearn:kn'\. Did you mean 'sklearn:knn'"):
        fr.benchmark("digits", "sklearn:kn", out=out)
    with pytest.raises(UnknownNameError, match=r"unknown key of a dataset 'lable'\. Did you mean 'label'"):
        fr.benchmark({"name": "digits", "lable": "a"}, SMALL, out=out)
    with pytest.raises(InputError, match="two datasets are called 'digits'"):
        fr.benchmark(["digits", "digits"], SMALL, out=out)
    with pytest.raises(InputError, match="two methods are called 'small'"):
        fr.benchmark("digits", [SMALL, Recipe(name="small", hidden=(4,))], out=out)
    with pytest.raises(InputError, match=r"has none\. Hold some out"):
        fr.benchmark({"name": "digits", "validation": 0}, SMALL, out=out)
    with pytest.raises(InputError, match=r"time_limit=0: expected seconds above 0"):
        fr.benchmark("digits", SMALL, out=out, time_limit=0)
    assert not out.exists()
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    with pytest.raises(RunError, match="is not the folder of a benchmark"):
        fr.benchmark("digits", SMALL, out=out)
