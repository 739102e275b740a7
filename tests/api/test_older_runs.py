"""Run folders that version 0.1 wrote, in its two layouts, work as those of today.

`written_by_0_1` holds what its `train` left behind of `digits`, with `hidden=[4]` and two epochs: one seed, three
seeds, and one seed that Ctrl-C stopped in its second epoch. (The images of two of them are left out, as are the names
of the operating system.)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.data.dataset import Dataset
from fittingroom.runs.layout import SeedFiles

WRITTEN = Path(__file__).parent / "written_by_0_1"
RECIPE = {"name": "tiny", "hidden": [4], "epochs": 2}
SEEDS = {"one-seed": (7,), "three-seeds": (3, 1, 4)}


@pytest.fixture
def older(runs_dir: Path) -> Path:
    """Copies of the folders, in the folder of runs."""
    return Path(shutil.copytree(WRITTEN, runs_dir))


@pytest.mark.parametrize("name", SEEDS)
def test_an_older_run_predicts_explains_reports_and_is_scored(name: str, older: Path, digits: Dataset) -> None:
    run = fr.open_run(name)
    assert run.seeds == SEEDS[name] == tuple(one.record.seed for one in run)
    assert [len(one.history["loss"]) for one in run] == [2] * len(run)
    assert len(run.history["val_loss"]) == 2
    assert run.validation is not None
    mean = np.mean([one.predict(digits.train.images[:5]) for one in run], axis=0)
    np.testing.assert_allclose(run.predict(digits.train.images[:5]), mean, rtol=1e-5)
    assert run.answer(digits.train.images[:1])[0].label in digits.classes
    assert run[0].model.count_params() == 65 * 4 + 5 * 10
    assert str(run.explain())
    assert name in run.report().html
    assert run.evaluate().to_dict()["looks"] == len(run)
    assert fr.replay(name).seeds[-1].seed == SEEDS[name][-1]


@pytest.mark.parametrize("name", SEEDS)
def test_an_older_run_is_the_very_run_that_is_trained_today(name: str, older: Path, tmp_path: Path) -> None:
    again = fr.train("digits", RECIPE, seeds=SEEDS[name], out=tmp_path / "again")
    for before, after in zip(fr.open_run(name), again, strict=True):
        assert before.history.keys() == after.history.keys()
        np.testing.assert_allclose(before.history["loss"], after.history["loss"], rtol=1e-4)


def test_older_runs_are_listed_shown_and_compared(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def facts(*command: str) -> Any:
        assert main([*command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    listed = {Path(run["run"]).name: run for run in facts("runs")["runs"]}
    assert {name: tuple(listed[name]["seeds"]) for name in SEEDS} == SEEDS
    assert listed["stopped"]["status"] == "interrupted"
    assert facts("show", "three-seeds")["per_seed"][2]["run"].endswith("seed-4")
    assert facts("show", "one-seed")["seed"] == 7
    assert [run["run"] for run in facts("compare", "one-seed", "three-seeds")["runs"]] == ["one-seed", "three-seeds"]
    assert fr.compare(["one-seed", "three-seeds/seed-1"]).to_dict()["runs"][1]["seeds"] == [1]


def test_an_older_training_that_was_stopped_is_resumed_to_the_same_end(older: Path, tmp_path: Path) -> None:
    assert fr.open_run("stopped").record.epochs == 1
    resumed = fr.resume("stopped")
    assert sorted(path.name.partition("-")[0] for path in resumed.path.iterdir()) == ["images", "run.json", "seed"]
    assert [path.name for path in (resumed.path / "seed-7").glob("check*")] == []
    whole = fr.train("digits", RECIPE, seed=7, out=tmp_path / "whole")
    # Its first epoch was measured by programs with vectors of 256 bits, which sum in another order.
    for name, array in SeedFiles(whole.path).weights.read().items():
        np.testing.assert_allclose(SeedFiles(resumed.path).weights.read()[name], array, rtol=1e-5, atol=1e-7)
    for name, values in whole.history.items():
        assert resumed.history[name] == pytest.approx(values, rel=1e-5)
