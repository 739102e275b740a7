"""`train --resume`, `replay`, and how trainings that are not at their end are listed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.errors import Interrupted
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.unfinished import UnfinishedRun
from tests.api.stopping import Crash, CrashIn, CtrlCIn
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")

RECIPE = Recipe(name="course", hidden=(8,), epochs=3)


@pytest.fixture
def stopped(runs_folder: Path) -> Path:
    """A training that crashed in its second epoch."""
    shutil.rmtree(runs_folder / "stopped", ignore_errors=True)
    with pytest.raises(Crash):
        fr.train("digits", RECIPE, progress=CrashIn(1), out=runs_folder / "stopped")
    return runs_folder / "stopped"


def test_a_stopped_training_is_listed_continues_and_can_be_repeated(command: Command, stopped: Path) -> None:
    assert "stopped: fittingroom train --resume stopped" in command("runs").out
    listed = command("runs", "--json").json["runs"][0]
    assert {"run": str(stopped), "status": "unfinished", "holder": None}.items() <= listed.items()
    refused = command("show", stopped)
    assert refused.status == 2
    assert (
        f"{stopped} is a training that has not finished. `fittingroom train --resume {stopped}` continues it."
        in refused.err
    )
    done = command("train", "--resume", "stopped")
    assert done.status == 0
    assert "course on digits, seed 0: 3 epochs" in done.out
    assert "note: Training was stopped, and resumed after epoch 1." in done.err
    again = command("replay", stopped)
    assert again.status == 0
    assert "the same, bit for bit" in again.out
    assert command("replay", stopped, "--json").json["same"] is True


def test_who_trains_a_run_is_listed(command: Command, runs_folder: Path) -> None:
    with pytest.raises(Crash):
        fr.train("digits", RECIPE, progress=CrashIn(1), out=runs_folder / "busy")
    with UnfinishedRun.reopen(runs_folder / "busy"):
        assert "in training by process" in command("runs").out
        refused = command("train", "--resume", "busy")
    assert refused.status == 2
    assert "is being trained by process" in refused.err


def test_a_replay_that_differs_says_so_with_its_status(command: Command, runs_folder: Path) -> None:
    run = fr.train("digits", RECIPE, out=runs_folder / "changed").path
    record = json.loads((SeedFiles(run).folder / "run.json").read_text())
    record["recipe"]["learning_rate"] *= 2
    record["environment"]["threads"] = None
    (SeedFiles(run).folder / "run.json").write_text(json.dumps(record))
    again = command("replay", run)
    assert again.status == 1
    assert "weights differ by at most" in again.out
    assert "not the same" in again.out
    assert "threads: None, then 1" in again.out


@pytest.mark.parametrize("options", [["--epochs", "3"], ["digits"], ["--seeds", "2"], ["--out", "x"]])
def test_nothing_else_may_be_said_beside_resume(command: Command, stopped: Path, options: list[str]) -> None:
    refused = command("train", *options, "--resume", "stopped")
    assert refused.status == 2
    assert "--resume continues a training with its own settings, so" in refused.err


@pytest.mark.parametrize("number", ["0", "x", "-1"])
def test_a_number_of_epochs_that_is_none_is_refused(command: Command, number: str) -> None:
    assert command("train", "digits", "--checkpoint-every", number).status == 2


def test_an_interrupted_training_names_the_way_on(command: Command, runs_folder: Path) -> None:
    with pytest.raises(Interrupted):
        fr.train("digits", RECIPE, progress=CtrlCIn(1), out=runs_folder / "interrupted")
    shown = command("runs").out
    assert "interrupted" in shown
    assert command("train", "--resume", runs_folder / "interrupted").status == 0
