"""Benchmarks: methods on several datasets with several seeds, each cell in a process of its own."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.errors import InputError, RunError, UnknownNameError
from fittingroom.evaluation.next_dataset import FEWEST_FAMILIES
from fittingroom.experiments.benchmark_file import STANDING, BenchmarkFile
from fittingroom.experiments.benchmark_result import Benchmark
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger
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
    with pytest.raises(InputError, match="methods without datasets"):
        fr.benchmark(methods="course")
    out = tmp_path / "one"
    with pytest.raises(UnknownNameError, match=r"unknown executor 'process'\. Did you mean 'processes'"):
        fr.benchmark("digits", SMALL, out=out, executor="process")
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'sklearn:kn'\. Did you mean 'sklearn:knn'"):
        fr.benchmark("digits", "sklearn:kn", out=out)
    with pytest.raises(UnknownNameError, match=r"unknown key of a dataset 'lable'\. Did you mean 'label'"):
        fr.benchmark({"name": "digits", "lable": "a"}, SMALL, out=out)
    with pytest.raises(InputError, match="a benchmark needs methods"):
        fr.benchmark("digits", out=out)
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


FILE = """
datasets = ["digits", {name = "digits", train = 100, label = "few"}]
methods = ["near.toml", {recipe = "sklearn:naive-bayes", name = "bayes"}]
seeds = [3]
trials = 2
time_limit = 100
"""


def test_the_standing_benchmark_is_large_enough_to_speak_of_the_next_dataset() -> None:
    standing = BenchmarkFile.read(STANDING)
    names = [one if isinstance(one, str) else one["name"] for one in standing.datasets]
    assert len(names) >= 8
    assert len({CATALOGUE[name].family for name in names}) >= FEWEST_FAMILIES
    assert len(standing.methods) >= 12
    assert standing.seeds == 5


def test_a_file_says_all_of_it_and_each_method_has_as_many_trials(tmp_path: Path) -> None:
    (tmp_path / "near.toml").write_text(find_recipe("sklearn:knn").changed(name="near").to_toml())
    (tmp_path / "mine.toml").write_text(FILE)
    done = fr.benchmark(tmp_path / "mine.toml", out=tmp_path / "one", workers=1)
    facts = done.to_dict()
    assert (facts["name"], facts["seeds"], facts["trials"]) == ("mine", [3], 2)
    assert [one["images"]["training"] for one in facts["datasets"]] == [1317, 100]
    assert [one["limited"] for one in facts["datasets"]] == [None, 100]
    assert done.families == {"digits": "digits", "few": "digits"}
    for result in done.results:
        assert result.trials == 2
        accuracies = []
        for path in (done.path / str(result.cells[0].run)).parent.iterdir():
            record = fr.open_run(path).record
            if record.recipe["name"].rstrip("+") == result.method and record.validation is not None:
                accuracies.append(record.validation.accuracy or 0.0)
        assert len(accuracies) == 2
        assert result.cells[0].accuracy == max(accuracies)
    with pytest.raises(InputError, match="describes the whole benchmark, so seeds cannot be given too"):
        fr.benchmark(tmp_path / "mine.toml", seeds=2)
    (tmp_path / "mine.toml").write_text(FILE.replace("trials", "trails"))
    with pytest.raises(InputError, match=r"mine\.toml, line 5: unknown key of a benchmark 'trails'.*'trials'"):
        fr.benchmark(tmp_path / "mine.toml")


OWN = """
import os, signal, time
from sklearn.dummy import DummyClassifier

class Sleeps(DummyClassifier):
    def fit(self, images, labels):
        time.sleep(60)

class Dies(DummyClassifier):
    def fit(self, images, labels):
        os.kill(os.getpid(), signal.SIGKILL)

class Raises(DummyClassifier):
    def fit(self, images, labels):
        raise ValueError("no images of this kind")
"""


@pytest.mark.slow
def test_a_cell_that_fails_dies_or_takes_too_long_is_a_result(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmark_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("Sleeps", "Dies", "Raises")
    own = [Recipe(name=name, estimator=f"benchmark_own:{name}()", hidden=Recipe(name="a").hidden) for name in names]
    asked: dict[str, Any] = {"out": tmp_path / "one", "workers": 2, "trust": True}
    done = fr.benchmark(tiny, [*own, "sklearn:knn"], 1, time_limit=8, **asked)
    assert [result.status for result in done.results] == ["timed out", "failed", "failed", "done"]
    reasons = [result.reason or "" for result in done.failures]
    assert "the time limit of a cell" in reasons[0]
    assert "was ended by SIGKILL" in reasons[1]
    assert "no images of this kind" in reasons[2]
    assert list(done.scores[0].right) == ["sklearn:knn"]
    again = fr.benchmark(tiny, [own[0], "sklearn:knn"], 1, time_limit=8, **asked)  # at once: it would sleep again
    assert again.results[0].status == "timed out"


def test_the_test_parts_are_opened_once_for_all_methods(done: Benchmark, tiny: Path, tmp_path: Path) -> None:
    place = tmp_path / "one"
    shutil.copytree(done.path, place)
    final = fr.benchmark(["digits", tiny], METHODS, 2, out=place, workers=1, final=True)
    assert final.part == "test"
    assert final.scores[0].right["small"].shape == (2, len(fr.load("digits").test))
    for result in final.results:
        for cell in result.cells:
            (look,) = fr.open_run(place / str(cell.run)).record.looks
            assert look.score is not None
            assert cell.accuracy == pytest.approx(look.score["accuracy"])
            assert cell.val_accuracy is not None
    looks = [look for look in Ledger.of_user().looks() if look.intent.dataset == "digits"]
    assert len(looks) == 3
    assert {look.look for look in looks} == {1, 2}  # a method is a look; its seeds are one
    fr.benchmark(["digits", tiny], METHODS, 2, out=place, workers=1, final=True)
    assert len([look for look in Ledger.of_user().looks() if look.intent.dataset == "digits"]) == 3


PROGRAM = """
import sys
import fittingroom as fr
from fittingroom.recipes.recipe import Recipe
recipe = Recipe(name="small", hidden=(8,), epochs=2)
fr.benchmark(["digits", sys.argv[1]], [recipe, "sklearn:knn"], 2, out=sys.argv[2], workers=1)
"""


@pytest.mark.slow
def test_kills_at_any_moment_change_no_bit(done: Benchmark, tiny: Path, tmp_path: Path) -> None:
    place, chance = tmp_path / "one", random.Random(24)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tiny), str(place)], stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(2, 8))
        process.kill()
        process.wait()
    again = fr.benchmark(["digits", tiny], METHODS, 2, out=place, workers=1)
    assert (again.path / "cells.csv").read_bytes() == (done.path / "cells.csv").read_bytes()
    assert (again.path / "right.npz").read_bytes() == (done.path / "right.npz").read_bytes()
    for result, other in zip(again.results, done.results, strict=True):
        for one, two in zip(result.cells, other.cells, strict=True):
            files = [SeedFiles(path / str(cell.run)).folder for path, cell in ((place, one), (done.path, two))]
            weights = [(folder / "weights.safetensors").read_bytes() for folder in files]
            assert weights[0] == weights[1]


def test_the_command_prints_a_table_for_each_dataset(
    done: Benchmark, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "one"
    shutil.copytree(done.path, place)
    (tmp_path / "small.toml").write_text('name = "small"\nhidden = [8]\nepochs = 2\n')
    methods = ["--methods", str(tmp_path / "small.toml"), "sklearn:knn"]
    command = ["benchmark", "digits", str(tiny), *methods, "--seeds", "2", "--out", str(place)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 methods × 2 seeds on 2 datasets: 8 of 8 cells done" in printed
    assert "families of datasets say nothing of the next dataset" in printed
    assert "--final opens each test part once" in printed
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"]["done"] == 8


@pytest.mark.slow
def test_two_local_nodes_of_a_cluster_give_the_same_bits(done: Benchmark, tiny: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray leaves files open, and JAX warns when Ray starts its processes
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
            asked: dict[str, Any] = {"executor": "ray", "address": cluster.address, "time_limit": 300}
            remote = fr.benchmark(["digits", tiny], METHODS, 2, out=tmp_path / "ray", **asked)
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]
    assert (remote.path / "cells.csv").read_bytes() == (done.path / "cells.csv").read_bytes()
    assert (remote.path / "right.npz").read_bytes() == (done.path / "right.npz").read_bytes()
    assert all(cell.cell_seconds for result in remote.results for cell in result.cells)
