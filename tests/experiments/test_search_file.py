"""A search as a TOML file, and what is said of one that makes no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fittingroom.errors import RecipeError
from fittingroom.experiments.experiment_file import Choices, Range, SearchFile


def written(folder: Path, text: str) -> Path:
    path = folder / "search.toml"
    path.write_text(text)
    return path


WHOLE = """
dataset = "digits"
recipe = "course"
seeds = 3
trials = 7
objective = "loss"

[set]
epochs = 2

[search]
learning_rate = {low = 1e-4, high = 1e-2, log = true}
hidden = {choices = [128, [512, 256]]}
batch_size = {low = 16, high = 128, step = 16}
dropout = {low = 0, high = 0.5}
"""


def test_all_that_a_file_can_say_is_read(tmp_path: Path) -> None:
    asked = SearchFile.read(written(tmp_path, WHOLE))
    assert (asked.experiment.dataset, asked.experiment.seeds, asked.trials, asked.objective) == ("digits", 3, 7, "loss")
    assert asked.recipe.epochs == 2
    assert asked.space == {
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "hidden": Choices({"128": (128,), "[512,256]": (512, 256)}),
        "batch_size": Range(16, 128, step=16, whole=True),
        "dropout": Range(0, 0.5),
    }


def test_what_decides_the_trials_decides_the_digest_and_their_number_does_not(tmp_path: Path) -> None:
    digest = SearchFile.read(written(tmp_path, WHOLE)).digest("data", (0,))
    assert SearchFile.read(written(tmp_path, WHOLE.replace("trials = 7", "trials = 9"))).digest("data", (0,)) == digest
    for old, new in (("1e-4", "1e-5"), ("128, [", "64, ["), ("epochs = 2", "epochs = 3"), ('"loss"', '"accuracy"')):
        assert SearchFile.read(written(tmp_path, WHOLE.replace(old, new))).digest("data", (0,)) != digest


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("seeds = 3", 1, "a search needs a table [search] with a line for each setting to search"),
        ("[search]\nhiden = {choices = [1, 2]}", 2, "unknown key 'hiden' in a recipe. Did you mean 'hidden'"),
        ("[search]\nhidden = [128, 256]", 2, "hidden = [128, 256]: expected a range or choices: {low = 1e-4"),
        ("[search]\nhidden = {low = 16}", 2, "hidden = {'low': 16}: expected a range or choices"),
        ("[search]\nhidden = {choices = [128]}", 2, "hidden: choices = [128]: expected a list of two values or more"),
        ("[search]\nhidden = {choices = [128, [128]]}", 2, "hidden: 128 is among the choices twice"),
        ("[search]\nhidden = {choices = [1, 2], log = true}", 2, "hidden: choices stand alone, without log"),
        (
            "\n[search]\ndropout = {low = 0, high = 1}",
            3,
            "dropout = 1: expected the share of a layer's outputs to drop",
        ),
        ("[search]\noptimizer = {low = 1, high = 2}", 2, "optimizer = 1: expected one of adadelta"),
        ("[search]\nbatch_size = {low = 32, high = 16}", 2, "batch_size: low = 32, high = 16: expected low below high"),
        (
            "[search]\nbatch_size = {low = 16, high = 100, step = 16}",
            2,
            "step = 16: expected one that leads from 16 to",
        ),
        ("[search]\ndropout = {low = 0, high = 0.5, log = true}", 2, "dropout: log = true: expected low above 0"),
        ("[search]\ndropout = {low = 0, high = 0.5, lg = true}", 2, "unknown key of a range 'lg'. Did you mean 'log'"),
        ('[search]\ndropout = {low = "0", high = 0.5}', 2, "dropout: low = '0': expected a number"),
        ("trials = 0\n[search]\nhidden = {choices = [1, 2]}", 1, "trials = 0: expected a whole number from 1 to"),
        (
            'objective = "acuracy"\n[search]\nhidden = {choices = [1, 2]}',
            1,
            "unknown objective 'acuracy'. Did you mean",
        ),
        ("[search]\nhidden = {choices = [1, 2]}\n[vary]\nhidden = [1]", 3, "[vary] in a search"),
        (
            'recipe = ["linear", "course"]\n[search]\nhidden = {choices = [1, 2]}',
            1,
            "recipe: 2 recipes; a search",
        ),
        ("sets = 1\n[search]\nhidden = {choices = [1, 2]}", 1, "unknown key of a search 'sets'. Did you mean"),
    ],
)
def test_errors_name_the_line_and_the_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=re.escape(f"{path}, line {line}: ") + ".*" + re.escape(message)):
        SearchFile.read(path)
