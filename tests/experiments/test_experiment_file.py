"""An experiment as a TOML file, and what is said of one that makes no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fittingroom.errors import InputError, RecipeError
from fittingroom.experiments.experiment import experiment
from fittingroom.experiments.experiment_file import ExperimentFile


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_all_that_a_file_can_say_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('hidden = [64]\nmodel = "model.py:build"\n')
    plan = ExperimentFile.read(
        written(
            tmp_path,
            'dataset = "digits"\nrecipe = ["linear", "own.toml"]\nseeds = [3, 7]\nvalidation = 0.1\n\n'
            "[set]\nepochs = 2\n\n[vary]\nbatch_size = [16, 32]\n",
        )
    )
    assert (plan.dataset, plan.seeds, plan.validation) == ("digits", [3, 7], 0.1)
    assert [(recipe.name, recipe.epochs) for recipe in plan.recipes] == [("linear+", 2), ("own+", 2)]
    assert plan.recipes[1].model == f"{tmp_path / 'model.py'}:build"
    assert plan.vary == {"batch_size": [16, 32]}


def test_lists_are_lists_of_lists_as_in_toml(tmp_path: Path) -> None:
    plan = ExperimentFile.read(written(tmp_path, "[vary]\nhidden = [128, [512, 256], []]\n"))
    assert plan.vary == {"hidden": [(128,), (512, 256), ()]}
    assert [recipe.name for recipe in plan.recipes] == ["course"]


def test_a_model_file_counts_from_the_folder_of_the_experiment(tmp_path: Path) -> None:
    plan = ExperimentFile.read(written(tmp_path, '[vary]\nmodel = ["a.py:build", "b.py:build"]\n'))
    assert plan.vary["model"] == [f"{tmp_path / name}:build" for name in ("a.py", "b.py")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('dataset = "digits"\nseds = 3', 2, "unknown key of an experiment 'seds'. Did you mean 'seeds'"),
        ("seeds = 3\n\n[vary]\nbatch_size = [32]\nhiden = [1]", 5, "unknown key 'hiden' in a recipe. Did you mean"),
        ("[set]\nhidden = 16\n[vary]\nhidden = [16, 0]", 4, "hidden = 0: expected the sizes of the hidden layers"),
        ("[vary]\nhidden = [16]\n[set]\nhidden = 0", 4, "hidden = 0: expected the sizes"),
        ("[vary]\nhidden = 16", 2, "hidden = 16: expected a list of values to vary"),
        ("vary.hidden = 16", 1, "hidden = 16: expected a list of values to vary"),
        ('\nrecipe = "wid"', 2, "unknown recipe 'wid'. Did you mean 'wide'"),
        ("recipe = 3", 1, "recipe = 3: expected a name or a list of them"),
        ('\n\nseeds = "5"', 3, "seeds = '5': expected how many seeds"),
        ("validation = true", 1, "validation = True: expected a number of images"),
        ("vary = 3", 1, "vary = 3: expected a table"),
        ("[set]\nwarmup = 0.1", 1, "warmup = 0.1: expected 0, since schedule = 'constant'"),
    ],
)
def test_errors_name_the_line_and_the_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=re.escape(f"{path}, line {line}: {message}")):
        ExperimentFile.read(path)


def test_what_is_no_toml_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"plan\.toml is not valid TOML.*line 1"):
        ExperimentFile.read(written(tmp_path, "seeds = = 3"))
    with pytest.raises(RecipeError, match=r"the experiment .*none\.toml cannot be read: No such file"):
        ExperimentFile.read(tmp_path / "none.toml")


def test_a_file_says_all_of_the_experiment(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan\.toml describes the whole experiment, so seeds cannot be given too"):
        experiment(written(tmp_path, "seeds = 2"), seeds=3)
