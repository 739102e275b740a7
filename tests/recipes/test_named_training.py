"""Every named recipe trains, through the whole way from a dataset to a run and its Keras model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fittingroom
from fittingroom.data.dataset import Dataset, Part
from fittingroom.recipes.build import layers_of
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("runs_dir")


def first(part: Part, count: int) -> Part:
    return dataclasses.replace(part, images=part.images[:count], labels=part.labels[:count])


@pytest.fixture(scope="module")
def few() -> Dataset:
    """32 real digits to train on, 16 to validate on."""
    digits = fittingroom.load("digits")
    assert digits.validation is not None
    return dataclasses.replace(digits, train=first(digits.train, 32), validation=first(digits.validation, 16))


EVERYTHING = Recipe(
    convolutions=((4, 4, 4),),
    residual=True,
    hidden=(8,),
    batch_norm=True,
    dropout=0.1,
    augment=("flip", "shift 1", "cutout 2"),
    label_smoothing=0.1,
    schedule="cosine",
    warmup=0.5,
    weight_decay=0.01,
    test_views=("shift 1", "flip"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in NAMED.items() if entry.recipe.backbone is None])
def test_two_steps_of_a_named_recipe_leave_a_run_whose_keras_model_agrees(name: str, few: Dataset) -> None:
    check_two_steps(NAMED[name].recipe, few)


@pytest.mark.slow
def test_two_steps_with_every_setting_leave_a_run_whose_keras_model_agrees(few: Dataset) -> None:
    check_two_steps(EVERYTHING, few)


def check_two_steps(recipe: Recipe, few: Dataset) -> None:
    recipe = recipe.changed(epochs=1, batch_size=16)
    run = fittingroom.train(few, recipe)
    assert list(run.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert few.validation is not None
    assert run.record.validation is not None
    right = run.predict(few.validation.images).argmax(axis=1) == few.validation.labels
    assert run.record.validation.accuracy == right.mean()
    images = few.train.images[:7]
    found, of_keras = run.predict(images), run.model.predict(images / np.float32(few.scale), verbose=0)
    tolerance = 1e-5 if recipe.precision == "float32" else 0.02  # 16 bits round differently in another program
    np.testing.assert_allclose(found, of_keras, atol=tolerance)


def test_seeds_differ_and_repeat(few: Dataset) -> None:
    recipe = Recipe(convolutions=((4,),), hidden=(), batch_norm=True, augment=("flip", "shift 1"), epochs=2)
    losses = [fittingroom.train(few, recipe, seed=seed).history["loss"] for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_label_smoothing_changes_training_and_not_the_kind_of_number(few: Dataset) -> None:
    plain, smooth = (
        fittingroom.train(few, Recipe(hidden=(), label_smoothing=share, epochs=1, batch_size=32)).history
        for share in (0.0, 0.5)
    )
    assert plain["loss"] == pytest.approx(smooth["loss"], rel=1e-5)  # of one step, before it has changed anything
    assert plain["val_loss"] != pytest.approx(smooth["val_loss"], rel=1e-5)


def test_balanced_class_weights_make_classes_count_alike(few: Dataset) -> None:
    """Of images that are all the same, nine in ten are of class 0: what is learned is how much each class counts."""
    labels = np.repeat(np.array([0, 1], np.int32), [90, 10])
    part = dataclasses.replace(few.train, images=np.full((100, 8, 8), 8, np.uint8), labels=labels)
    same = dataclasses.replace(few, train=part)
    recipe = Recipe(hidden=(), learning_rate=0.1, epochs=100, batch_size=100)
    plain, balanced = (
        fittingroom.train(same, recipe.changed(class_weight=weight)).predict(part.images[:1])[0, :2]
        for weight in (None, "balanced")
    )
    np.testing.assert_allclose(plain, [0.9, 0.1], atol=0.02)
    np.testing.assert_allclose(balanced, [0.5, 0.5], atol=0.02)


def test_schedule_spans_all_epochs(few: Dataset) -> None:
    """A longer training is another one from its first epoch on, though nothing else in its program differs."""
    short, long = (
        fittingroom.train(few, Recipe(hidden=(), schedule="cosine", epochs=epochs, batch_size=8)).history["loss"]
        for epochs in (2, 4)
    )
    assert short[0] != long[0]


def test_cnn_has_fewer_than_100_000_parameters() -> None:
    assert layers_of(NAMED["cnn"].recipe, (28, 28), 10).count_params() < 100_000
