from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fittingroom.engine.augmentation import changing_images
from fittingroom.engine.description import describe, rebuild
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.state import State
from fittingroom.recipes.build import build_model, with_softmax_in_the_loss
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Augmentation

pytestmark = pytest.mark.usefixtures("quick_compiler")

Array = np.ndarray[Any, Any]


def moved(images: Array, pixels: int) -> Array:
    """Down and right, or up and left where negative."""
    result = np.zeros_like(images)
    if pixels > 0:
        result[:, pixels:, pixels:] = images[:, :-pixels, :-pixels]
    else:
        result[:, :pixels, :pixels] = images[:, -pixels:, -pixels:]
    return result


def all_views(images: Array, texts: tuple[str, ...]) -> list[Array]:
    views = [images]
    if "shift 1" in texts:
        views += [moved(images, 1), moved(images, -1)]
    if "flip" in texts:
        views += [view[:, :, ::-1] for view in views]
    return views


@pytest.mark.parametrize("texts", [("flip",), ("shift 1",), ("flip", "shift 1"), ("shift 1", "flip")])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_answer_is_the_mean_over_views(texts: tuple[str, ...], shape: tuple[int, ...]) -> None:
    model = build_model(Recipe(hidden=(5,), test_views=texts), shape, 3)
    plain = build_model(Recipe(hidden=(5,)), shape, 3)
    plain.set_weights(model.get_weights())
    images = np.random.default_rng(0).random((6, *shape)).astype(np.float32)
    expected = np.mean([np.asarray(plain(view)) for view in all_views(images, texts)], axis=0)
    np.testing.assert_allclose(np.asarray(model(images)), expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(by_engine(model, images, texts)), expected, rtol=1e-5)


def by_engine(model: Any, images: Array, texts: tuple[str, ...]) -> Array:
    """Logarithms of probabilities, as the engine predicts with the weights of the model."""
    trained = with_softmax_in_the_loss(model)
    steps = changing_images(KerasSteps(trained).functions(), views=[Augmentation.of(text) for text in texts])
    assert steps.answer is not None
    weights = [
        tuple(State.values_of(group)) for group in (trained.trainable_variables, trained.non_trainable_variables)
    ]
    return np.asarray(steps.answer(State(weights[0], weights[1], (), ()), jnp.asarray(images)))


def test_model_with_views_is_made_of_keras_s_own_layers() -> None:
    model = build_model(Recipe(hidden=(5,), test_views=("flip", "shift 1")), (5, 4), 3)
    again = rebuild(describe(model))
    again.set_weights(model.get_weights())
    images = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(again(images)), np.asarray(model(images)))
