"""Keras's layers get the engine's convolutions and pooling, and nobody else does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from fittingroom.engine.rewriting import rewritten_for_cpu

NAMES = jax.lax.conv_general_dilated, jax.lax.reduce_window


def names() -> tuple[Any, Any]:
    return jax.lax.conv_general_dilated, jax.lax.reduce_window


LAYERS: dict[str, Callable[[], Any]] = {
    "convolution": lambda: keras.layers.Conv2D(6, 3),
    "strided convolution in groups": lambda: keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=2),
    "dilated convolution": lambda: keras.layers.Conv2D(6, 3, dilation_rate=2),
    "separable convolution": lambda: keras.layers.SeparableConv2D(6, 3, depth_multiplier=2),
    "depthwise convolution": lambda: keras.layers.DepthwiseConv2D(3, strides=2),
    "largest": lambda: keras.layers.MaxPooling2D(2),
    "largest of overlapping windows": lambda: keras.layers.MaxPooling2D(3, strides=2, padding="same"),
    "average": lambda: keras.layers.AveragePooling2D(2, padding="same"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_keras_layers_are_rewritten_and_give_the_same(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((7, 8, 4)), LAYERS[name]()])
    images = jnp.asarray(np.random.default_rng(5).standard_normal((2, 7, 8, 4)), jnp.float32)

    def forward(images: jax.Array) -> Any:
        return model(images, training=False)

    expected = forward(images)
    with rewritten_for_cpu():
        traced = str(jax.make_jaxpr(forward)(images))
        ours = jax.jit(forward)(images)
    assert "custom_vjp" in traced or "conv_general_dilated" not in traced
    assert "reduce_window" not in traced
    assert "feature_group_count=2" not in traced
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5)


AXES = ("NHWC", "HWIO", "NHWC")
KERNEL: Any = np.random.default_rng(6).standard_normal((3, 3, 4, 2)).astype(np.float32)

# What a layer of the user's may do, and what Keras's own do outside of its `conv` and its pooling.
OTHERS: dict[str, Callable[[jax.Array], Any]] = {
    "keywords": lambda x: jax.lax.conv_general_dilated(
        lhs=x, rhs=KERNEL, window_strides=(1, 2), padding="SAME", dimension_numbers=AXES
    ),
    "positions": lambda x: jax.lax.conv_general_dilated(x, KERNEL, (1, 1), "VALID", None, (2, 1), AXES),
    "every argument": lambda x: jax.lax.conv_general_dilated(
        x, KERNEL, (1, 1), ((0, 0), (1, 1)), (2, 2), (1, 1), AXES, 1, 1, jax.lax.Precision.HIGHEST
    ),
    "pooling by keywords": lambda x: jax.lax.reduce_window(
        operand=x, init_value=-jnp.inf, computation=jax.lax.max, window_dimensions=(1, 2, 2, 1)
    ),
    "pooling from a traced start": lambda x: jax.lax.reduce_window(x, 0 * x[0, 0, 0, 0], jax.lax.add, (1, 2, 2, 1)),
    "pooling with holes": lambda x: jax.lax.reduce_window(
        x, 0.0, jax.lax.add, (1, 2, 2, 1), window_dilation=(1, 2, 2, 1)
    ),
    "gaussian_blur": keras.ops.image.gaussian_blur,
    "sobel_edges": keras.ops.image.sobel_edges,
    "extract_patches": lambda x: keras.ops.image.extract_patches(x, 3),
    "forward mode": lambda x: jax.jvp(
        lambda v: keras.ops.max_pool(keras.ops.conv(v, KERNEL), 2, 2), (x,), (jnp.ones_like(x),)
    )[1],
}


@pytest.mark.parametrize("name", OTHERS)
def test_whoever_calls_jax_gets_what_jax_gives(name: str) -> None:
    """Forwards, and the gradient that training takes through it."""
    images = jnp.asarray(np.random.default_rng(5).standard_normal((2, 7, 8, 4)), jnp.float32)
    score = jax.value_and_grad(lambda x: jnp.sum(jnp.cos(OTHERS[name](x))))
    expected = score(images)
    with rewritten_for_cpu():
        ours = score(images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), ours, expected)


def test_gradients_of_training_are_ours() -> None:
    with rewritten_for_cpu():
        traced = str(jax.make_jaxpr(jax.grad(lambda x: jnp.sum(keras.ops.max_pool(x, 2, 2))))(jnp.ones((1, 4, 4, 1))))
    assert "select_and" not in traced


def test_what_is_not_covered_goes_to_xla() -> None:
    signal, kernel = jnp.ones((3, 9, 3)), jnp.ones((3, 3, 5))
    with rewritten_for_cpu():
        ours = keras.ops.conv(signal, kernel)
    np.testing.assert_array_equal(ours, keras.ops.conv(signal, kernel))


def test_names_are_put_back_even_after_an_error() -> None:
    with pytest.raises(RuntimeError), rewritten_for_cpu():
        raise RuntimeError
    assert names() == NAMES


def test_names_stay_replaced_until_the_outermost_is_done() -> None:
    with rewritten_for_cpu():
        with rewritten_for_cpu():
            pass
        assert names() != NAMES
    assert names() == NAMES


def traced_pooling() -> str:
    arguments = (-jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return str(jax.make_jaxpr(lambda images: jax.lax.reduce_window(images, *arguments))(jnp.ones((1, 4, 4, 1))))


def test_another_thread_traces_as_ever() -> None:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(traced_pooling()))
    with rewritten_for_cpu():
        assert "reduce_window" not in traced_pooling()
        thread.start()
        thread.join()
    assert "reduce_window" in seen[0]


def test_a_thread_continues_when_another_is_done() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with rewritten_for_cpu():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(10)
    with rewritten_for_cpu():
        leave.set()
        thread.join()
        assert "reduce_window" not in traced_pooling()
    assert names() == NAMES
