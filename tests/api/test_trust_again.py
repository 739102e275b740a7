"""A model file is run again, to go on or to repeat a training, only when it is trusted and unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.errors import Interrupted, RunError
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from tests.api.stopping import CtrlCIn, assert_same_training

FILE = """
from pathlib import Path
import keras

Path(__file__).with_suffix(".canary").touch()

def build():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, "softmax", name="last")], name="mine")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def recipe(file: Path) -> Recipe:
    return Recipe(name="mine", model=f"{file}:build", epochs=3)


def test_a_training_with_a_model_file_continues_when_the_file_is_trusted(
    file: Path, recipe: Recipe, tmp_path: Path
) -> None:
    whole = fr.train("digits", recipe, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        fr.train("digits", recipe, progress=CtrlCIn(1))
    canary = file.with_suffix(".canary")
    canary.unlink()
    with pytest.raises(
        RunError, match=r"code in .*mine\.py \(function build, SHA-256 \w{64}\), and nothing .* --trust"
    ):
        fr.resume()
    assert not canary.exists()
    assert_same_training(fr.resume(trust=True), whole)


def test_a_training_with_a_model_file_is_repeated_when_the_file_is_trusted(recipe: Recipe) -> None:
    run = fr.train("digits", recipe)
    with pytest.raises(RunError, match="--trust runs it again"):
        fr.replay(run.path)
    assert fr.replay(run.path, trust=True).same


def test_a_model_file_that_has_changed_is_not_run(file: Path, recipe: Recipe) -> None:
    run = fr.train("digits", recipe)
    with pytest.raises(Interrupted):
        fr.train("digits", recipe, progress=CtrlCIn(1))
    canary = file.with_suffix(".canary")
    canary.unlink()
    file.write_text(FILE + "# changed")
    for again in (lambda: fr.resume(trust=True), lambda: fr.replay(run.path, trust=True)):
        with pytest.raises(RunError, match="but this file's SHA-256 is"):
            again()
    assert not canary.exists()


def test_a_model_file_of_which_no_hash_is_recorded_is_not_run(file: Path, recipe: Recipe) -> None:
    run = fr.train("digits", recipe)
    record = json.loads((SeedFiles(run.path).folder / "run.json").read_text())
    del record["model_file"]
    (SeedFiles(run.path).folder / "run.json").write_text(json.dumps(record))
    file.with_suffix(".canary").unlink()
    with pytest.raises(RunError, match="does not record what was in that file"):
        fr.replay(run.path, trust=True)
    assert not file.with_suffix(".canary").exists()
