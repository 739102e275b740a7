"""Rewritten convolutions and pooling give what XLA's own give, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.engine import convolution
from fittingroom.engine.convolution import as_matrix_products

LAST, FIRST = ("NHWC", "HWIO", "NHWC"), ("NCHW", "HWIO", "NCHW")
Pair = tuple[int, int]
FEW = settings(max_examples=12)  # each one compiles anew


def random(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def assert_same(ours: jax.Array, theirs: jax.Array) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@FEW
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["valid", "same", ((1, 2), (0, 1))]),
    groups=st.sampled_from([(1, 3, 4), (2, 4, 6), (3, 3, 3), (3, 3, 6)]),
    layout=st.sampled_from([LAST, FIRST]),
)
def test_convolution_and_its_gradients_are_those_of_xla(
    size: Pair, kernel: Pair, strides: Pair, dilation: Pair, padding: Any, groups: tuple[int, int, int], layout: Any
) -> None:
    group, channels, features = groups
    shape = (2, *size, channels) if layout is LAST else (2, channels, *size)
    inputs, weights = random(0, *shape), random(1, *kernel, channels // group, features)
    options = {"rhs_dilation": dilation, "dimension_numbers": layout, "feature_group_count": group}

    def with_gradients(function: Callable[..., Any]) -> Any:
        def total(inputs: jax.Array, weights: jax.Array) -> Any:
            result = function(inputs, weights, strides, padding, **options)
            return (result * jnp.cos(jnp.arange(result.size).reshape(result.shape))).sum(), result

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(inputs, weights)

    both = [jax.tree.leaves(with_gradients(f)) for f in (convolution.convolve, jax.lax.conv_general_dilated)]
    pairs = zip(*both, strict=True)
    for ours, theirs in pairs:
        assert_same(ours, theirs)


@FEW
@given(
    window=st.sampled_from([(1, 2, 2, 1), (1, 3, 3, 1), (1, 2, 1, 1), (1, 1, 2, 2)]),
    strides=st.sampled_from([(1, 1, 1, 1), (1, 2, 2, 1), (1, 3, 1, 1)]),
    padding=st.sampled_from(["VALID", "SAME"]),
    largest=st.booleans(),
    ties=st.booleans(),
)
def test_pooling_and_its_gradient_are_those_of_xla(
    window: tuple[int, ...], strides: tuple[int, ...], padding: str, largest: bool, ties: bool
) -> None:
    inputs = random(2, 2, 7, 6, 4)
    inputs = jnp.round(inputs) if ties else inputs  # equal numbers in a window: who gets the gradient?
    start, combine = (-jnp.inf, jax.lax.max) if largest else (0.0, jax.lax.add)

    def with_gradient(function: Callable[..., Any]) -> Any:
        def total(inputs: jax.Array) -> Any:
            result = function(inputs, start, combine, window, strides, padding)
            return (result * jnp.cos(jnp.arange(result.size).reshape(result.shape))).sum(), result

        return jax.jit(jax.value_and_grad(total, has_aux=True))(inputs)

    both = [jax.tree.leaves(with_gradient(f)) for f in (convolution.pool, jax.lax.reduce_window)]
    pairs = zip(*both, strict=True)
    for ours, theirs in pairs:
        assert_same(ours, theirs)


def test_nan_is_not_lost_in_pooling() -> None:
    image = jnp.array([jnp.nan, 1.0, 1.0, jnp.nan]).reshape(1, 2, 2, 1)
    pooled = convolution.pool(image, -jnp.inf, jax.lax.max, (1, 2, 2, 1), None, "VALID")
    assert pooled is not None
    assert jnp.isnan(pooled).all()


def test_what_is_not_covered_goes_to_xla() -> None:
    signal, kernel = random(3, 2, 9, 3), random(4, 3, 3, 5)
    with as_matrix_products():
        ours = keras.ops.conv(signal, kernel)
    assert_same(ours, keras.ops.conv(signal, kernel))


def primitives_of(model: keras.Model, images: jax.Array) -> str:
    with as_matrix_products():
        return str(jax.make_jaxpr(lambda images: model(images, training=False))(images))


@pytest.mark.parametrize("layer", ["Conv2D", "SeparableConv2D", "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D"])
def test_keras_layers_are_rewritten_and_give_the_same(layer: str) -> None:
    arguments = {"Conv2D": (6, 3), "SeparableConv2D": (6, 3), "DepthwiseConv2D": (3,)}.get(layer, (2,))
    model = keras.Sequential([keras.Input((8, 8, 4)), getattr(keras.layers, layer)(*arguments)])
    images = random(5, 2, 8, 8, 4)
    traced = primitives_of(model, images)
    assert "conv_general_dilated" not in traced
    assert "reduce_window" not in traced
    with as_matrix_products():
        ours = jax.jit(lambda images: model(images, training=False))(images)
    assert_same(ours, model(images, training=False))


def test_names_are_put_back_even_after_an_error() -> None:
    before = jax.lax.conv_general_dilated, jax.lax.reduce_window
    with pytest.raises(RuntimeError), as_matrix_products():
        raise RuntimeError
    assert (jax.lax.conv_general_dilated, jax.lax.reduce_window) == before
