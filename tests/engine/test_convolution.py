"""The engine's convolutions give what XLA's own give, gradients included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.engine import onednn
from fittingroom.engine.convolution import BY_ONEDNN, SHARED_BY, convolve
from fittingroom.engine.devices import Sharing, not_kept

pytestmark = pytest.mark.usefixtures("quick_compiler")

LAST, FIRST = ("NHWC", "HWIO", "NHWC"), ("NCHW", "HWIO", "NCHW")
Pair = tuple[int, int]
# groups, channels, features: few and many numbers in a window, split, and depthwise
CHANNELS = [(1, 1, 20), (1, 3, 4), (1, 20, 3), (2, 4, 6), (3, 3, 3), (3, 3, 6)]


def numbers(seed: int, *shape: int, kind: Any = jnp.float32) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), kind)


def operands(
    size: Pair, kernel: Pair, groups: tuple[int, int, int], layout: Any = LAST, kind: Any = jnp.float32
) -> Any:
    group, channels, features = groups
    shape = (2, *size, channels) if layout is LAST else (2, channels, *size)
    return numbers(0, *shape, kind=kind), numbers(1, *kernel, channels // group, features, kind=kind)


@contextmanager
def computed(*, by_onednn: bool, devices: int = 1) -> Iterator[None]:
    """Within the context, oneDNN convolves where this processor has it, on so many devices."""
    mesh = SHARED_BY.set(Sharing(devices).everywhere.mesh if devices > 1 else None)
    allowed = BY_ONEDNN.set(by_onednn)
    try:
        with not_kept() if by_onednn else nullcontext():
            yield
    finally:
        BY_ONEDNN.reset(allowed)
        SHARED_BY.reset(mesh)


def with_gradients(function: Callable[..., Any], inputs: jax.Array, weights: jax.Array) -> list[jax.Array]:
    """The result, and the gradients of its sum with weights that differ."""

    def total(inputs: jax.Array, weights: jax.Array) -> Any:
        result = function(inputs, weights)
        assert result is not None
        return (result * jnp.cos(jnp.arange(result.size).reshape(result.shape))).sum(), result

    gradients, result = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(inputs, weights)
    return [result, *gradients]


def assert_as_xla(inputs: jax.Array, weights: jax.Array, strides: Pair, padding: Any, **options: Any) -> None:
    def both(function: Callable[..., Any]) -> list[jax.Array]:
        return with_gradients(lambda *operands: function(*operands, strides, padding, **options), inputs, weights)

    for ours, theirs in zip(both(convolve), both(jax.lax.conv_general_dilated), strict=True):
        assert ours.dtype == theirs.dtype
        tolerance = 3e-2 if inputs.dtype == jnp.bfloat16 else 5e-5
        scale = float(jnp.abs(theirs).max()) + 1
        np.testing.assert_allclose(
            ours.astype(np.float32), theirs.astype(np.float32), rtol=tolerance, atol=tolerance * scale
        )


@settings(max_examples=8)  # each one compiles anew
@given(
    by_onednn=st.booleans(),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["valid", "same", ((1, 2), (0, 1)), ((4, 0), (0, 5)), ((-1, 2), (1, -1))]),
    groups=st.sampled_from(CHANNELS),
    layout=st.sampled_from([LAST, FIRST]),
)
def test_convolution_and_its_gradients_are_those_of_xla(  # noqa: PLR0917
    by_onednn: bool,
    size: Pair,
    kernel: Pair,
    strides: Pair,
    dilation: Pair,
    padding: Any,
    groups: tuple[int, int, int],
    layout: Any,
) -> None:
    options = {"rhs_dilation": dilation, "dimension_numbers": layout, "feature_group_count": groups[0]}
    inputs, weights = operands(size, kernel, groups, layout)
    with computed(by_onednn=by_onednn):
        assert_as_xla(inputs, weights, strides, padding, **options)


@pytest.mark.parametrize("by_onednn", [False, True])
@pytest.mark.parametrize("groups", CHANNELS[::2])
def test_short_numbers_stay_short(groups: tuple[int, int, int], by_onednn: bool) -> None:
    inputs, weights = operands((5, 6), (3, 3), groups, kind=jnp.bfloat16)
    with computed(by_onednn=by_onednn):
        assert_as_xla(inputs, weights, (1, 1), "same", dimension_numbers=LAST, feature_group_count=groups[0])


def test_a_long_training_calls_onednn_where_it_can() -> None:
    inputs, weights = operands((5, 6), (3, 3), (1, 20, 24))

    def calls(*, by_onednn: bool) -> int:
        with computed(by_onednn=by_onednn):
            return str(jax.make_jaxpr(jax.grad(_total, argnums=(0, 1)))(inputs, weights)).count(onednn.CALL)

    assert calls(by_onednn=False) == 0
    assert calls(by_onednn=True) == (3 if "float32" in onednn.types_computed() else 0)


@pytest.mark.parametrize("images", [4, 3])  # equal parts for two devices, and not
def test_devices_share_what_onednn_computes(images: int) -> None:
    inputs, weights = operands((6, 5), (3, 3), (1, 20, 24))
    inputs = jnp.concatenate([inputs, inputs + 1])[:images]
    gradients = jax.grad(_total, argnums=(0, 1))
    with computed(by_onednn=True, devices=2):
        whole = Sharing(2).everywhere
        shared = jax.jit(gradients, in_shardings=whole, out_shardings=whole)(inputs, weights)
    with computed(by_onednn=True):
        alone = jax.jit(gradients)(inputs, weights)
    for ours, theirs in zip(shared, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("by_onednn", [False, True])
def test_gradients_have_gradients(by_onednn: bool) -> None:
    inputs, weights = operands((5, 4), (3, 3), (1, 5, 6))

    def sharpness(function: Callable[..., Any]) -> jax.Array:
        def slope(weights: jax.Array) -> jax.Array:
            total = lambda inputs: jnp.square(function(inputs, weights, (1, 1), "SAME", dimension_numbers=LAST)).sum()  # noqa: E731
            return jnp.square(jax.grad(total)(inputs)).sum()

        gradient: jax.Array = jax.grad(slope)(weights)
        return gradient

    with computed(by_onednn=by_onednn):
        np.testing.assert_allclose(sharpness(convolve), sharpness(jax.lax.conv_general_dilated), rtol=1e-3)


@pytest.mark.parametrize("groups", CHANNELS)
def test_vectorised_convolution_is_that_of_each(groups: tuple[int, int, int]) -> None:
    inputs, weights = (jnp.stack([part, 2 * part + 1]) for part in operands((5, 6), (3, 2), groups))

    def convolution(inputs: jax.Array, weights: jax.Array) -> Any:
        return convolve(inputs, weights, (1, 2), "same", dimension_numbers=LAST, feature_group_count=groups[0])

    def gradients(inputs: jax.Array, weights: jax.Array) -> Any:
        return jax.grad(lambda *both: jnp.square(convolution(*both)).sum(), argnums=(0, 1))(inputs, weights)

    together, alone = jax.jit(jax.vmap(gradients))(inputs, weights), jax.jit(gradients)
    for number in range(2):
        for one, all_of_them in zip(alone(inputs[number], weights[number]), together, strict=True):
            np.testing.assert_allclose(all_of_them[number], one, rtol=1e-4, atol=1e-3)


def test_gradients_are_convolutions_in_the_usual_order_of_axes() -> None:
    inputs, weights = operands((6, 6), (3, 3), (1, 20, 24))
    program = jax.make_jaxpr(jax.grad(_total, argnums=(0, 1)))(inputs, weights)
    layouts = {
        (spec.lhs_spec, spec.rhs_spec, spec.out_spec)
        for equation in _equations(program.jaxpr)
        if equation.primitive.name == "conv_general_dilated"
        for spec in [equation.params["dimension_numbers"]]
    }
    assert layouts == {((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))}


def _total(inputs: jax.Array, weights: jax.Array) -> jax.Array:
    result = convolve(inputs, weights, (1, 1), "same", dimension_numbers=LAST)
    assert result is not None
    return jnp.square(result).sum()


def _equations(jaxpr: Any) -> list[Any]:
    inner = [part for equation in jaxpr.eqns for part in jax.tree.leaves(list(equation.params.values()))]
    return [*jaxpr.eqns, *(found for part in inner if hasattr(part, "jaxpr") for found in _equations(part.jaxpr))]


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((3, 9, 3), (3, 3, 5), {"dimension_numbers": ("NWC", "WIO", "NWC")}),
        ((1, 6, 6, 2), (3, 3, 2, 2), {"dimension_numbers": LAST, "lhs_dilation": (2, 2)}),
        ((1, 2, 2, 2), (3, 3, 2, 2), {"dimension_numbers": LAST}),  # no window fits
    ],
)
def test_what_is_not_covered_is_left_to_xla(shape: Any, kernel: Any, options: Any) -> None:
    strides = (1,) * (len(shape) - 2)
    assert convolve(numbers(3, *shape), numbers(4, *kernel), strides, "valid", **options) is None
