"""`fit` means what `model.fit` means: the zoo, trained both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from keras import layers

import fittingroom
from tests.engine import arrangements, zoo
from tests.engine.images import Images, real_images
from tests.engine.zoo import CASES, Case, Differences, Tolerance


def assert_within(found: Differences, allowed: Tolerance) -> None:
    assert found.weights <= allowed.weights
    assert found.optimizer <= allowed.optimizer
    assert found.history <= allowed.history


def in_its_turn(case: Case) -> Any:
    return pytest.param(case, id=case.name, marks=pytest.mark.slow if case.slow else ())


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("case", [in_its_turn(case) for case in CASES])
def test_it_trains_as_in_keras(case: Case, digits: Images) -> None:
    assert_within(zoo.differences(case, digits), case.tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_trains_on_the_real_set_as_in_keras(case: Case) -> None:
    assert_within(zoo.differences(case, real_images(), batch_size=64), case.on_real_set)


@pytest.mark.slow
def test_the_course_model_trains_on_all_of_fashion_mnist_as_in_keras() -> None:
    data = fittingroom.load("fashion-mnist", validation=0)
    images = Images(data.train.x, data.train.y, data.train.x[:1000], data.train.y[:1000])
    course = zoo.sequential(lambda: [layers.Flatten(), layers.Dense(128, activation="relu")])
    case = Case("whole", "the course's model on all training images", course, arrangements.with_validation)
    assert_within(zoo.differences(case, images, batch_size=32), case.on_real_set)


def test_a_difference_in_training_is_found(digits: Images) -> None:
    """Otherwise the rest would prove nothing."""
    course = CASES[0]
    other = replace(course, keras_arguments=lambda images: course.arguments(images) | {"batch_size": 15})
    found = zoo.differences(other, digits)
    assert found.weights > course.tolerance.weights
    assert found.optimizer > course.tolerance.optimizer
    assert found.history > course.tolerance.history
