"""Experiments that are killed go on where they were, and end with the table of one that nobody stopped."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.errors import Interrupted
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from tests.api.stopping import Crash, CtrlCIn, OnlyFirst

BASE = Recipe(name="base", hidden=(8,), dropout=0.1, epochs=3)
VARY = {"hidden": [4, 8]}
SEEDS = 6
LONG = Recipe(name="long", hidden=(8,), dropout=0.1, epochs=10)
PROGRAM = f"""
import sys
import fittingroom as fr
from fittingroom.recipes.recipe import Recipe
fr.experiment("digits", {LONG!r}, vary={VARY!r}, seeds={SEEDS}, out=sys.argv[1])
"""


class CrashAt(ExperimentProgress):
    """Crashes after so many steps and epochs of any cell."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def training(self, name: str, cells: int) -> Progress:
        del name, cells
        return _Counting(self)


class _Counting(Progress):
    def __init__(self, watcher: CrashAt) -> None:
        self._watcher = watcher

    def stage(self, text: str) -> None:
        del text
        self._count()

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        del epoch, done, total, logs
        self._count()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        del epoch, logs
        self._count()

    def _count(self) -> None:
        self._watcher.left -= 1
        if self._watcher.left == 0:
            raise Crash


class Trainings(ExperimentProgress):
    """Counts the cells that each call begins or goes on with."""

    def __init__(self) -> None:
        self.cells = 0

    def training(self, name: str, cells: int) -> Progress:
        del name
        self.cells += cells
        return Progress()


def records(folder: Path) -> dict[Path, bytes]:
    """The record of each cell that is trained to its end."""
    return {path: path.read_bytes() for path in folder.glob("runs/*/seed-*/run.json")}


@pytest.mark.slow
def test_crashes_at_any_moment_change_no_bit_of_the_table(tmp_path: Path) -> None:
    whole = fr.experiment("digits", BASE, vary=VARY, seeds=SEEDS, out=tmp_path / "whole")
    stopped, chance = tmp_path / "stopped", random.Random(6)
    for _ in range(4):
        with pytest.raises(Crash):
            fr.experiment(
                "digits", BASE, vary=VARY, seeds=SEEDS, out=stopped, progress=CrashAt(chance.randrange(1, 20))
            )
    before, counted = records(stopped), Trainings()
    done = fr.experiment("digits", BASE, vary=VARY, seeds=SEEDS, out=stopped, progress=counted)
    assert done.epochs_csv.read_bytes() == whole.epochs_csv.read_bytes()
    assert len(records(stopped)) == 12
    assert records(stopped).items() >= before.items()  # what was trained to its end was not trained again
    assert counted.cells == 12 - len(before)


def test_ctrl_c_says_where_the_cells_are_and_the_same_call_continues(tmp_path: Path) -> None:
    class CtrlC(ExperimentProgress):
        def training(self, name: str, cells: int) -> Progress:
            del cells
            return OnlyFirst(CtrlCIn(1)) if name.endswith("=8") else Progress()

    asked = {"vary": VARY, "seeds": 2, "out": tmp_path / "one"}
    with pytest.raises(Interrupted, match=r"stopped with 2 of 4 cells done, which are in .*one\. The same call con"):
        fr.experiment("digits", BASE, **asked, progress=CtrlC())  # type: ignore[arg-type]
    page = (tmp_path / "one" / "experiment.html").read_text(encoding="utf-8")
    assert "2 of 4" in page
    done = fr.experiment("digits", BASE, **asked)  # type: ignore[arg-type]
    assert [cell.status for cell in done.cells] == ["done"] * 4
    other = fr.experiment("digits", BASE, **{**asked, "out": tmp_path / "other"})  # type: ignore[arg-type]
    assert done.epochs_csv.read_bytes() == other.epochs_csv.read_bytes()


def test_what_a_kill_left_before_a_training_had_begun_is_cleared(tmp_path: Path) -> None:
    first = fr.experiment("digits", BASE, seeds=1, out=tmp_path / "one")
    (folder,) = (first.path / "runs").iterdir()
    half = folder.with_name(folder.name[:-1] + "2")
    half.mkdir()
    (half / "lock").touch()
    again = fr.experiment("digits", BASE, seeds=2, out=tmp_path / "one")
    assert [cell.status for cell in again.cells] == ["done", "done"]
    assert not half.exists()


def kill_and_go_on(tmp_path: Path, kills: int) -> None:
    """Kills a process at random moments, lets it go on, and compares it with one that nobody stopped."""
    whole = fr.experiment("digits", LONG, vary=VARY, seeds=SEEDS, out=tmp_path / "whole")
    stopped, chance = tmp_path / "stopped", random.Random(kills)
    trained: dict[Path, bytes] = {}
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, stopped], stderr=subprocess.PIPE)
        while not (stopped / "lock").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 2))
        process.kill()
        process.communicate()
        assert records(stopped).items() >= trained.items()
        trained = {path: text for path, text in records(stopped).items() if _is_over(path)}
    done = fr.experiment("digits", LONG, vary=VARY, seeds=SEEDS, out=stopped)
    assert done.epochs_csv.read_bytes() == whole.epochs_csv.read_bytes()
    assert records(stopped).items() >= trained.items()


def _is_over(record: Path) -> bool:
    run = record.parent.parent
    return (run / "run.json").exists() and not (run / "training.json").exists()


def test_a_killed_process_trains_each_cell_once_to_its_end_and_changes_no_bit(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kills=2)


@pytest.mark.slow
def test_twenty_kills_change_no_bit(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kills=20)
