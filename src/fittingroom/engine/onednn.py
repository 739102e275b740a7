"""Convolutions by oneDNN, which jaxlib holds on x86 processors, inside programs that JAX compiles.

jaxlib holds oneDNN beside XLA, and XLA's CPU backend has an operation for it, `__onednn$convolution`, which no setting
of JAX reaches, but a call by its name does (decision 79 in docs/decisions.md). It convolves somewhat faster than XLA
itself, in 16 bits twice as fast. Since that name is nobody's promise, `types_computed` first has another process try
it: wherever it is missing, has changed, or ends that process, convolutions stay XLA's.

oneDNN computes forwards only. The gradient of the images is a convolution with the kernel turned round. That of the
kernel is one whose kernel is as large as the images; here it becomes fast by laying columns and channels side by side
in one axis, in which a step from column to column is a dilation.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from fittingroom.atomic import CheckedFile
from fittingroom.data.cache import cache_dir
from fittingroom.engine.depthwise import Windows
from fittingroom.errors import StorageError

CALL = "__onednn$convolution"
# A first layer's gradient, with so few channels, is a product of windows that are laid out in rows (decision 79).
FEW_CHANNELS = 4
_SECONDS_TO_TRY = 60

Pads = Sequence[tuple[int, int]]


@functools.cache
def types_computed() -> frozenset[str]:
    """The types of numbers that oneDNN convolves here: of "float32" and "bfloat16"; none where it cannot be called.

    It is tried once for each processor and version of jaxlib, by a process of its own, and kept in the cache folder.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return frozenset()
    key = sha256(f"{version('jaxlib')} {_processor()} {os.environ.get('XLA_FLAGS')}".encode()).hexdigest()[:16]
    kept = CheckedFile(cache_dir() / "onednn" / f"{key}.json")
    found = kept.read()
    if found is not None:
        return frozenset(json.loads(found))
    right = _tried()
    if right is None:
        return frozenset()
    with suppress(OSError, StorageError):  # else the next process tries again
        kept.path.parent.mkdir(parents=True, exist_ok=True)
        kept.write(json.dumps(right).encode())
    return frozenset(right)


def has_units_for_bfloat16() -> bool:
    """Whether the processor multiplies numbers of 16 bits by units of its own, and oneDNN can be called."""
    return "bfloat16" in types_computed() and any(unit in _processor() for unit in ("avx512_bf16", "amx_bf16"))


def _processor() -> str:
    """What the processor is and can do, as far as the system says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _tried() -> list[str] | None:
    """The types that another process convolved rightly; None where it could not try.

    oneDNN ends a process whose processor lacks a type, by a signal, after what it printed before.
    """
    code = "from fittingroom.engine.onednn import _try_here; _try_here('float32'); _try_here('bfloat16')"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS_TO_TRY,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode > 0 else done.stdout.decode().split()


def _try_here(kind: str) -> None:
    """Prints the type if this process convolves whole numbers of it exactly, forwards and backwards."""
    images = (jnp.arange(2 * 6 * 5 * 16) % 3).reshape(2, 6, 5, 16).astype(kind)
    weights = (jnp.arange(3 * 3 * 16 * 16) % 2).reshape(3, 3, 16, 16).astype(kind)
    windows = Windows((1, 1), ((1, 1), (1, 1)), (1, 1))
    expected = jax.lax.conv_general_dilated(
        images, weights, (1, 1), windows.pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = jax.jit(convolution, static_argnums=2)(images, weights, windows)
    moved = jax.jit(kernel_gradient, static_argnums=(2, 3))(images, jnp.ones_like(found), weights.shape, windows)
    middle = jnp.broadcast_to(images.sum((0, 1, 2))[:, None], (16, 16))
    if jnp.array_equal(found, expected) and jnp.array_equal(moved[1, 1], middle):
        sys.stdout.write(f"{kind}\n")
        sys.stdout.flush()


def convolution(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    """The convolution of images `(batch, height, width, channels)` with `(height, width, channels, features)`."""
    size = windows.size(images, weights)
    pads = windows.pads
    if any(
        not 0 <= pad < spread for both, spread in zip(pads, windows.spread(weights.shape), strict=True) for pad in both
    ):
        images, pads = _padded(images, pads), ((0, 0), (0, 0))
    shape = (images.shape[0], *size, weights.shape[3])
    return _call(images, weights, shape, pads, windows.strides, windows.dilation, "hwio")


def images_gradient(gradient: jax.Array, weights: jax.Array, extent: Sequence[int], windows: Windows) -> jax.Array:
    """The gradient for images of `extent` rows and columns: that of the results meets the kernel turned round."""
    pads = windows.pads_back(extent, weights, gradient)
    turned = weights[::-1, ::-1].transpose(0, 1, 3, 2)
    if windows.strides != (1, 1):
        gradient, pads = _padded(gradient, pads, windows.strides), ((0, 0), (0, 0))
    return convolution(gradient, turned, Windows((1, 1), pads, windows.dilation))


def kernel_gradient(images: jax.Array, gradient: jax.Array, shape: tuple[int, ...], windows: Windows) -> jax.Array:
    """The gradient for a kernel of a shape.

    Each number of it is a sum over all images and windows. With the images' number as the axis of channels, and columns
    and channels as one axis of columns, it is one convolution: a step to the next column is a dilation by as many as
    there are channels, and the results along that axis are the kernel's columns and channels.
    """
    height, _, channels, features = shape
    batch = images.shape[0]
    spread, reach = windows.spread(shape), windows.reach(gradient)
    pads = [
        (low, length + span - 1 - extent - low)
        for (low, _), length, span, extent in zip(windows.pads, reach, spread, images.shape[1:3], strict=True)
    ]
    if channels <= FEW_CHANNELS:
        return _few_channels(_padded(images, pads), gradient, shape, windows)
    rows, columns = reach[0] + spread[0] - 1, reach[1] + spread[1] - 1
    side_by_side = _padded(images, pads).transpose(1, 2, 3, 0).reshape(1, rows, columns * channels, batch)
    result = _call(
        side_by_side,
        gradient,
        (1, height, spread[1] * channels, features),
        ((0, 0), (0, 0)),
        (windows.dilation[0], 1),
        (windows.strides[0], windows.strides[1] * channels),
        "ihwo",
    )
    return result.reshape(height, spread[1], channels, features)[:, :: windows.dilation[1]]


def _few_channels(padded: jax.Array, gradient: jax.Array, shape: tuple[int, ...], windows: Windows) -> jax.Array:
    """The same by a product: the numbers that meet a weight are a row each."""
    height, width, channels, features = shape
    first = padded.transpose(3, 0, 1, 2)
    (down, right), (reach_down, reach_right) = windows.strides, windows.reach(gradient)
    rows = [
        first[
            :,
            :,
            row * windows.dilation[0] : row * windows.dilation[0] + reach_down : down,
            column * windows.dilation[1] : column * windows.dilation[1] + reach_right : right,
        ].reshape(channels, -1)
        for row in range(height)
        for column in range(width)
    ]
    product = jnp.dot(jnp.concatenate(rows), gradient.reshape(-1, features), preferred_element_type=jnp.float32).astype(
        gradient.dtype
    )
    return product.reshape(shape)


def _padded(images: jax.Array, pads: Pads, strides: Sequence[int] = (1, 1)) -> jax.Array:
    """Images with zeros around them, or less than there is where a pad is negative, and between them for strides."""
    inner = [(*pad, step - 1) for pad, step in zip(pads, strides, strict=True)]
    if not any(map(any, inner)):
        return images
    return jax.lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *inner, (0, 0, 0)])


def _call(
    images: jax.Array,
    weights: jax.Array,
    shape: tuple[int, ...],
    pads: Pads,
    strides: Sequence[int],
    dilation: Sequence[int],
    order: str,
) -> jax.Array:
    """The operation itself. `order` names the kernel's axes: height, width, inputs and outputs."""

    def each(values: Sequence[int]) -> list[str]:
        return [str(value) for value in values]

    layout = {"batch_dim": "0", "feature_dim": "3", "spatial_dims": ["1", "2"]}
    kernel: dict[str, Any] = {
        "input_feature_dim": str(order.index("i")),
        "output_feature_dim": str(order.index("o")),
        "spatial_dims": each([order.index("h"), order.index("w")]),
    }
    settings = {
        "dims": "4",
        "input": {"dims": "4", "data": layout},
        "kernel": {"dims": "4", "filter": kernel},
        "output": {"dims": "4", "data": layout},
        "window": {
            "size": each([weights.shape[order.index("h")], weights.shape[order.index("w")]]),
            "pad_left": each([low for low, _ in pads]),
            "pad_right": each([high for _, high in pads]),
            "strides": each(strides),
            "window_dilations": each(dilation),
        },
        "feature_groups": "1",
    }
    call = jax.ffi.ffi_call(
        CALL,
        jax.ShapeDtypeStruct(shape, images.dtype),
        vmap_method="sequential",
        custom_call_api_version=1,
        legacy_backend_config=json.dumps({"onednn_conv_config": settings}),
    )
    result: jax.Array = call(images, weights)
    return result
