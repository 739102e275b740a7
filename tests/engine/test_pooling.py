"""The engine's pooling gives what XLA's own gives, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.engine.pooling import pool

START = {jax.lax.max: -jnp.inf, jax.lax.add: 0.0}


def numbers(*shape: int, kind: Any = jnp.float32) -> jax.Array:
    return jnp.asarray(np.random.default_rng(2).standard_normal(shape), kind)


def with_gradient(function: Callable[..., Any], inputs: jax.Array, *arguments: Any) -> list[jax.Array]:
    """The result, and the gradient of its sum with weights that differ."""

    def total(inputs: jax.Array) -> Any:
        result = function(inputs, *arguments)
        assert result is not None
        return (result * jnp.cos(jnp.arange(result.size).reshape(result.shape))).sum(), result

    gradient, result = jax.jit(jax.grad(total, has_aux=True))(inputs)
    return [result, gradient]


def assert_as_xla(inputs: jax.Array, combine: Any, window: Any, strides: Any, padding: Any) -> None:
    arguments = (START[combine], combine, window, strides, padding)
    ours, theirs = (with_gradient(function, inputs, *arguments) for function in (pool, jax.lax.reduce_window))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        tolerance = 2e-2 if inputs.dtype == jnp.bfloat16 else 2e-5
        np.testing.assert_allclose(mine.astype(np.float32), other.astype(np.float32), rtol=tolerance, atol=tolerance)


@settings(max_examples=6)
@given(
    size=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    window=st.sampled_from([(1, 2, 2, 1), (1, 3, 3, 1), (1, 2, 1, 1), (1, 1, 2, 2), (1, 3, 2, 1)]),
    strides=st.sampled_from([(1, 1, 1, 1), (1, 2, 2, 1), (1, 3, 3, 1), (1, 3, 1, 1)]),
    padding=st.sampled_from(["VALID", "SAME", [(0, 0), (1, 0), (0, 1), (0, 0)]]),
    combine=st.sampled_from([jax.lax.max, jax.lax.add]),
    ties=st.booleans(),
)
def test_pooling_and_its_gradient_are_those_of_xla(
    size: tuple[int, int], window: Any, strides: Any, padding: Any, combine: Any, ties: bool
) -> None:
    inputs = numbers(2, *size, 4)
    assert_as_xla(jnp.round(inputs) if ties else inputs, combine, window, strides, padding)


@pytest.mark.parametrize("combine", [jax.lax.max, jax.lax.add])
def test_rows_and_columns_that_no_window_meets_have_no_gradient(combine: Any) -> None:
    assert_as_xla(numbers(1, 5, 7, 2), combine, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@pytest.mark.parametrize("combine", [jax.lax.max, jax.lax.add])
def test_short_numbers_stay_short(combine: Any) -> None:
    assert_as_xla(numbers(1, 4, 4, 2, kind=jnp.bfloat16), combine, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def test_of_equal_numbers_the_first_has_the_whole_gradient() -> None:
    pooled = with_gradient(pool, jnp.ones((1, 2, 2, 1)), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    np.testing.assert_array_equal(pooled[-1].reshape(-1), [1, 0, 0, 0])


def test_nan_is_not_lost() -> None:
    image = jnp.array([jnp.nan, 1.0, 1.0, jnp.nan]).reshape(1, 2, 2, 1)
    pooled = pool(image, -jnp.inf, jax.lax.max, (1, 2, 2, 1), None, "VALID")
    assert pooled is not None
    assert jnp.isnan(pooled).all()


def test_vectorised_pooling_is_that_of_each() -> None:
    inputs = numbers(3, 2, 6, 4, 1)
    arguments = (-jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def gradient(images: jax.Array) -> jax.Array:
        def total(images: jax.Array) -> jax.Array:
            pooled = pool(images, *arguments)
            assert pooled is not None
            return jnp.square(pooled).sum()

        found: jax.Array = jax.grad(total)(images)
        return found

    np.testing.assert_array_equal(jax.jit(jax.vmap(gradient))(inputs), [jax.jit(gradient)(images) for images in inputs])


@pytest.mark.parametrize(
    ("start", "combine", "window", "kind"),
    [
        (0.0, jax.lax.max, (1, 2, 2, 1), jnp.float32),  # a lower bound, not the neutral number
        (1.0, jax.lax.mul, (1, 2, 2, 1), jnp.float32),
        (-jnp.inf, jax.lax.max, (1, 5, 5, 1), jnp.float32),  # too many positions
        (0, jax.lax.add, (1, 2, 2, 1), jnp.int32),
    ],
)
def test_what_is_not_covered_is_left_to_xla(start: Any, combine: Any, window: Any, kind: Any) -> None:
    assert pool(numbers(1, 6, 6, 1, kind=kind), start, combine, window, None, "VALID") is None
