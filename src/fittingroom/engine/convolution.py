"""Convolutions whose gradients are as fast as they are, for programs that run on a CPU.

In long trainings oneDNN computes them where it can be called (`engine/onednn.py`). Elsewhere they are XLA's. Its CPU
backend has a fast convolution, but only for the order of axes that images and kernels usually have. The gradients that
JAX derives are convolutions in other orders, for which it falls back to a loop that is up to 65 times slower, and so
does every convolution with groups. Here each gradient is written as a convolution in the usual order, and groups are
taken apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from fittingroom.engine import onednn
from fittingroom.engine.depthwise import Windows, depthwise, paddings

Operands = tuple[jax.Array, jax.Array]
USUAL = ("NHWC", "HWIO", "NHWC")
ORIGINAL = jax.lax.conv_general_dilated  # its name in `jax.lax` is ours while a program is traced
# XLA's convolution is slow where windows have few numbers (three channels of 3×3) and there are few features for each
# channel. There one product of windows, laid side by side, takes half of its time or less (decision 6).
FEW_NUMBERS, FEW_FEATURES = 27, 16
# While this context traces a program: the devices that share each batch (None for one), and whether oneDNN is called.
SHARED_BY: ContextVar[Mesh | AbstractMesh | None] = ContextVar("SHARED_BY", default=None)
BY_ONEDNN: ContextVar[bool] = ContextVar("BY_ONEDNN", default=False)


def convolve(
    lhs: jax.Array, rhs: jax.Array, window_strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array | None:
    """The result of `jax.lax.conv_general_dilated` for these of its arguments, or None where they are not covered.

    Covered are two spatial axes in any layout, with strides, padding, `rhs_dilation` and `feature_group_count`. The
    gradient is a rule for differentiating backwards, as training does; forwards it cannot be differentiated.
    """
    inputs, kernel, strides = lhs, rhs, window_strides
    dilation = tuple(options.pop("rhs_dilation", None) or (1, 1))
    groups = options.pop("feature_group_count", 1)
    layout = options.pop("dimension_numbers", None)
    if inputs.ndim != 4 or options or inputs.dtype != kernel.dtype or not jnp.issubdtype(inputs.dtype, jnp.floating):
        return None
    layout = jax.lax.conv_dimension_numbers(inputs.shape, kernel.shape, layout)
    batch, channel, *space = layout.lhs_spec
    images = inputs.transpose(batch, *space, channel)
    weights = kernel.transpose(*layout.rhs_spec[2:], layout.rhs_spec[1], layout.rhs_spec[0])
    windows = Windows(tuple(strides), ((0, 0), (0, 0)), dilation)
    pads = paddings(images.shape[1:3], windows.spread(weights.shape), strides, padding)
    windows = windows._replace(pads=tuple(pads))
    if min(*windows.size(images, weights), *images.shape, *weights.shape) < 1:
        return None
    if groups > 1 or not _onednn_computes(inputs):
        wide = jnp.promote_types(inputs.dtype, jnp.float32)  # XLA has no fast convolution of shorter numbers on a CPU
        images, weights = images.astype(wide), weights.astype(wide)
    result = _grouped(images, weights, groups, windows).astype(inputs.dtype)
    order = (layout.out_spec[0], *layout.out_spec[2:], layout.out_spec[1])
    return result.transpose([order.index(axis) for axis in range(4)])


def _onednn_computes(numbers: jax.Array) -> bool:
    return BY_ONEDNN.get() and str(numbers.dtype) in onednn.types_computed()


def _grouped(images: jax.Array, weights: jax.Array, groups: int, windows: Windows) -> jax.Array:
    """One ordinary convolution for each group of channels."""
    if weights.shape[2] == 1 and groups == images.shape[3] > 1:
        return depthwise(images, weights, windows)
    if groups == 1:
        return _dense(images, weights, windows)
    parts = zip(jnp.split(images, groups, axis=3), jnp.split(weights, groups, axis=3), strict=True)
    return jnp.concatenate([_dense(image, weight, windows) for image, weight in parts], axis=3)


def _dense(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    few = images.shape[3] <= onednn.FEW_CHANNELS and images.dtype == jnp.float32  # XLA is the faster one there
    if _onednn_computes(images) and not few:
        return _by_onednn(images, weights, windows)
    if weights.shape[:2] == (1, 1):
        return _product(images, weights, windows)
    return _by_xla(images, weights, windows)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_onednn(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    return _on_each_device(
        lambda images, weights: onednn.convolution(images, weights, windows), (images, True), (weights, False)
    )


def _onednn_forward(images: jax.Array, weights: jax.Array, windows: Windows) -> tuple[jax.Array, Operands]:
    return _by_onednn(images, weights, windows), (images, weights)


def _onednn_backward(windows: Windows, kept: Operands, gradient: jax.Array) -> Operands:
    images, weights = kept
    extent, shape = images.shape[1:3], weights.shape
    of_images = _differentiable(
        lambda gradient, weights: _on_each_device(
            lambda gradient, weights: onednn.images_gradient(gradient, weights, extent, windows),
            (gradient, True),
            (weights, False),
        ),
        lambda gradient, weights: _images_gradient(extent, weights, gradient, windows),
        gradient,
        weights,
    )
    of_kernel = _differentiable(
        lambda images, gradient: _on_each_device(
            lambda images, gradient: onednn.kernel_gradient(images, gradient, shape, windows),
            (images, True),
            (gradient, True),
            summed=True,
        ),
        lambda images, gradient: _kernel_gradient(images, shape, gradient, windows),
        images,
        gradient,
    )
    return of_images, of_kernel


_by_onednn.defvjp(_onednn_forward, _onednn_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _differentiable(fast: Callable[..., Any], plain: Callable[..., Any], *operands: jax.Array) -> jax.Array:
    """What `fast` computes, with the gradient of `plain`, the same function, which JAX can derive."""
    del plain
    result: jax.Array = fast(*operands)
    return result


def _differentiable_forward(fast: Callable[..., Any], _: Any, *operands: jax.Array) -> Any:
    return fast(*operands), operands


def _differentiable_backward(_: Any, plain: Callable[..., Any], operands: Any, gradient: jax.Array) -> Any:
    return jax.vjp(plain, *operands)[1](gradient)


_differentiable.defvjp(_differentiable_forward, _differentiable_backward)


def _on_each_device(
    function: Callable[..., jax.Array], *operands: tuple[jax.Array, bool], summed: bool = False
) -> jax.Array:
    """The function of its operands, each with whether its first axis is the batch, which devices share.

    XLA divides its own operations among devices, and cannot divide a call. `summed` says that the function sums over
    the batch; otherwise the batch is the first axis of its result too.
    """
    mesh = SHARED_BY.get()
    arrays = [array for array, _ in operands]
    if mesh is None or arrays[0].shape[0] % mesh.size:
        # Each device computes all of it, or there is one only.
        return _manual(function, mesh, [PartitionSpec()] * len(arrays), PartitionSpec())(*arrays)
    batch = PartitionSpec(mesh.axis_names[0])
    places = [batch if is_batch else PartitionSpec() for _, is_batch in operands]
    if not summed:
        return _manual(function, mesh, places, batch)(*arrays)
    total = functools.partial(_sum_over_devices, function, mesh.axis_names[0])
    return _manual(total, mesh, places, PartitionSpec())(*arrays)


def _manual(
    function: Callable[..., Any], mesh: Mesh | AbstractMesh | None, places: Sequence[Any], result: Any
) -> Callable[..., jax.Array]:
    if mesh is None:
        return function
    divided: Callable[..., Any] = jax.shard_map(
        function, mesh=mesh, in_specs=tuple(places), out_specs=result, check_vma=False
    )
    return divided


def _sum_over_devices(function: Callable[..., jax.Array], axis: str, *operands: jax.Array) -> jax.Array:
    total: jax.Array = jax.lax.psum(function(*operands), axis)
    return total


def _product(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    """The product of each window, flattened to `height * width * channels` numbers, with the kernel."""
    side_by_side = jnp.concatenate(windows.met(images, weights), axis=3)
    return side_by_side @ weights.reshape(-1, weights.shape[3])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_xla(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    """A convolution without groups, whose gradients are convolutions in the usual order of axes."""
    height, width, channels, features = weights.shape
    if height * width * channels <= FEW_NUMBERS and features <= FEW_FEATURES * channels:
        return _product(images, weights, windows)
    return _xla(images, weights, windows.pads, window_strides=windows.strides, rhs_dilation=windows.dilation)


def _forward(images: jax.Array, weights: jax.Array, windows: Windows) -> tuple[jax.Array, Operands]:
    return _by_xla(images, weights, windows), (images, weights)


def _backward(windows: Windows, kept: Operands, gradient: jax.Array) -> Operands:
    images, weights = kept
    return (
        _images_gradient(images.shape[1:3], weights, gradient, windows),
        _kernel_gradient(images, weights.shape, gradient, windows),
    )


_by_xla.defvjp(_forward, _backward)


def _images_gradient(extent: Sequence[int], weights: jax.Array, gradient: jax.Array, windows: Windows) -> jax.Array:
    """The gradient, with its strides filled with zeros, convolved with the kernel turned round."""
    pads = windows.pads_back(extent, weights, gradient)
    turned = weights[::-1, ::-1].transpose(0, 1, 3, 2)
    return _xla(
        gradient, turned, pads, window_strides=(1, 1), lhs_dilation=windows.strides, rhs_dilation=windows.dilation
    )


def _kernel_gradient(images: jax.Array, shape: tuple[int, ...], gradient: jax.Array, windows: Windows) -> jax.Array:
    """The images convolved with the gradient: channels become the batch, images the channels, strides the dilation."""
    pads = []
    for axis, (spread, reach) in enumerate(zip(windows.spread(shape), windows.reach(gradient), strict=True)):
        low = windows.pads[axis][0]
        pads.append((low, reach + spread - 1 - images.shape[axis + 1] - low))
    channels_first, gradient_first = images.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3)
    result = _xla(channels_first, gradient_first, pads, window_strides=windows.dilation, rhs_dilation=windows.strides)
    return result.transpose(1, 2, 0, 3)


def _xla(images: jax.Array, weights: jax.Array, pads: Sequence[tuple[int, int]], **options: Any) -> jax.Array:
    result: jax.Array = ORIGINAL(images, weights, padding=pads, dimension_numbers=USUAL, **options)
    return result
