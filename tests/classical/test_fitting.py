from __future__ import annotations

import numpy as np
import pytest

from fittingroom.classical.fitting import FittedEstimator, fit_estimator
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import RecipeError
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def fitted(recipe: Recipe, data: Dataset, seed: int = 0) -> FittedEstimator:
    return fit_estimator(recipe, data.train.images, data.train.labels, 10, seed, scale=data.scale)


def test_a_fit_repeats_to_the_bit_and_its_bytes_answer_alike(digits: Dataset) -> None:
    assert digits.validation is not None
    recipe = find_recipe("sklearn:knn")
    first, again = fitted(recipe, digits), fitted(recipe, digits)
    answers, content = first.log_probabilities(digits.validation.images), first.to_bytes()
    assert content is not None
    assert content == again.to_bytes()
    assert (answers.argmax(axis=1) == digits.validation.labels).mean() > 0.95
    read = FittedEstimator.from_bytes(recipe, content, 10, scale=digits.scale, image_shape=(8, 8))
    assert np.array_equal(answers, read.log_probabilities(digits.validation.images))


def test_code_of_ones_own_is_not_imported_without_trust(digits: Dataset) -> None:
    recipe = Recipe(estimator="this_module_does_not_exist:Mine()")
    with pytest.raises(
        RecipeError, match=r"needs trust \(this_module_does_not_exist is not a module of scikit-learn\)"
    ):
        fitted(recipe, digits)


def test_settings_of_networks_do_not_go_with_an_estimator() -> None:
    with pytest.raises(RecipeError, match=r"epochs = 3 is a setting of networks, and .* Leave epochs out"):
        Recipe(estimator="sklearn.svm:SVC()", epochs=3)
