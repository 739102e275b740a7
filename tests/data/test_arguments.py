from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fittingroom
from fittingroom.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": None}, "load takes the name of a dataset.* not None"),
        ({"name": np.zeros(3)}, r"not a ndarray. Arrays need no loading: fittingroom.fit\(model, x, y\)"),
        ({"name": Path("digits")}, "there is no file or folder .*digits"),
        ({"image_size": "28x28"}, r"image_size='28x28'; expected \(height, width\)"),
        ({"image_size": (28, 28, 3)}, "expected"),
        ({"image_size": True}, "expected"),
        ({"validation": "20%"}, "validation='20%'; expected a number of images.* Write 0.2"),
        ({"validation": True}, "validation=True; expected"),
        ({"validation": float("nan")}, "validation=nan; expected"),
        ({"split_seed": 1.5}, "split_seed=1.5; expected a whole number from 0"),
        ({"split_seed": -1}, "split_seed=-1; expected"),
    ],
)
def test_arguments_of_load_that_mean_nothing_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fittingroom.load(**{"name": "digits", **arguments})  # type: ignore[arg-type]


def test_a_dataset_that_is_loaded_already_is_said_to_be() -> None:
    digits = fittingroom.load("digits", validation=np.float64(0.1))
    assert digits.validation is not None
    assert len(digits.validation) == 144
    with pytest.raises(InputError, match="It is already loaded"):
        fittingroom.load(digits)


def test_a_path_and_one_number_for_both_sides_are_taken(tmp_path: Path) -> None:
    from PIL import Image

    for number, name in enumerate(("hat", "shoe")):
        (tmp_path / name).mkdir()
        for image in range(4):
            Image.new("L", (9, 9), 60 * number + 10 * image).save(tmp_path / name / f"{image}.png")
    assert fittingroom.load(tmp_path, image_size=12).image_shape == (12, 12)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"epoch": 3}, "unknown argument of train 'epoch'. Did you mean 'epochs'"),
        ({"lr": 0.1}, "Did you mean 'learning_rate'"),
        ({"epochs": "many"}, "epochs"),
        ({"recipe": 7}, "recipe is a int; expected a recipe, its name"),
        ({"recipe": {"hiden": [3]}}, "unknown key 'hiden' in a recipe. Did you mean 'hidden'"),
        ({"dataset": np.zeros((3, 8, 8))}, r"dataset is a ndarray.*fittingroom.fit\(model, x, y\)"),
        ({"dataset": 7}, "dataset is a int. Expected the name of a dataset"),
    ],
)
def test_arguments_of_train_that_mean_nothing_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fittingroom.train(**{"dataset": "digits", **arguments})  # type: ignore[arg-type]


def test_a_model_is_for_fit_and_a_loaded_dataset_is_not_loaded_again() -> None:
    import keras

    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    with pytest.raises(InputError, match=r"recipe is a Sequential.*fittingroom.fit\(model, dataset\)"):
        fittingroom.train("digits", model)
    with pytest.raises(InputError, match=r"dataset is a Sequential.*fittingroom.fit\(model, dataset\)"):
        fittingroom.train(model)
    with pytest.raises(InputError, match=r"x is 'digits'. Load it first: .*fittingroom.load\('digits'\)"):
        fittingroom.fit(model, "digits")
    with pytest.raises(InputError, match=r"validation says how to load a dataset, but digits is loaded already"):
        fittingroom.train(fittingroom.load("digits"), validation=50)


def test_settings_of_the_recipe_may_be_given_to_train(tmp_path: Path) -> None:
    run = fittingroom.train("digits", epochs=1, hidden=[4], out=tmp_path / "one")
    assert (run.record.recipe["name"], run.record.recipe["epochs"], run.record.recipe["hidden"]) == ("course+", 1, [4])
    other = fittingroom.train("digits", {"name": "mine", "hidden": [4]}, epochs=1, out=tmp_path / "two")
    assert other.record.recipe == {**run.record.recipe, "name": "mine+"}
