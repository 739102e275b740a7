from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fittingroom.errors import RecipeError
from fittingroom.recipes.build import layers_of
from fittingroom.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("quick_compiler")


def names(recipe: Recipe, image_shape: tuple[int, ...] = (8, 8)) -> list[str]:
    return [layer.name for layer in layers_of(recipe, image_shape, 10).layers]


def test_stages_of_convolutions_end_with_pooling_before_the_activation() -> None:
    recipe = Recipe(convolutions=((4,), (6, 8)), hidden=(16,), batch_norm=True)
    assert names(recipe) == [
        "channel",
        *["convolution_1_1", "pooling_1", "norm_1_1", "activation_1_1"],
        *["convolution_2_1", "norm_2_1", "activation_2_1"],
        *["convolution_2_2", "pooling_2", "norm_2_2", "activation_2_2"],
        *["flatten", "hidden_1", "norm_1", "activation_1", "classes"],
    ]


def test_colour_images_have_their_channels_already() -> None:
    assert names(Recipe(convolutions=((4,),), hidden=()), (8, 8, 3))[:2] == ["convolution_1_1", "pooling_1"]


def test_pooling_before_a_rising_activation_is_pooling_after_it() -> None:
    model = layers_of(Recipe(convolutions=((4,),), hidden=()), (8, 8), 10)
    images = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    convolution = model.get_layer("convolution_1_1")
    after = keras.layers.MaxPooling2D()(keras.ops.relu(convolution(images[..., None])))
    until = keras.Model(model.inputs[0], model.get_layer("activation_1_1").output)
    np.testing.assert_allclose(np.asarray(until(images)), np.asarray(after), rtol=1e-6)


def test_residual_pairs_add_their_input() -> None:
    model = layers_of(Recipe(convolutions=((4, 3, 4),), residual=True, hidden=()), (8, 8), 10)
    for layer in ("convolution_1_2", "convolution_1_3"):
        model.get_layer(layer).set_weights([np.zeros_like(value) for value in model.get_layer(layer).get_weights()])
    first, last = (keras.Model(model.inputs[0], model.get_layer(name).output) for name in ("activation_1_1", "sum_1_3"))
    images = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(first(images)), np.asarray(last(images)))


def test_images_that_cannot_be_halved_so_often_are_refused() -> None:
    recipe = Recipe(convolutions=((2,), (2,), (2,), (2,)))
    with pytest.raises(RecipeError, match=r"4 stages, .* the images are 8x12: expected at most 3 stages"):
        layers_of(recipe, (8, 12), 10)


def policies(model: Any) -> dict[str, str]:
    return {layer.name: layer.dtype_policy.name for layer in model.layers if layer.weights}


@pytest.mark.parametrize("residual", [False, True])
def test_mixed_precision_ends_with_32_bits(residual: bool) -> None:
    recipe = Recipe(
        convolutions=((4, 4, 4),), hidden=(8,), batch_norm=True, precision="mixed_bfloat16", residual=residual
    )
    model = layers_of(recipe, (8, 8), 10)
    assert policies(model).pop("classes") == "float32"
    assert {policy for name, policy in policies(model).items() if name != "classes"} == {"mixed_bfloat16"}
    assert np.asarray(model(np.zeros((2, 8, 8), np.float32))).dtype == np.float32
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
