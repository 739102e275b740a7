"""What comes between stored pictures and a frozen backbone, as part of a graph: exactly what Pillow's `resize` gives.

Pillow resizes 8-bit pictures in whole numbers: along the rows first and then along the columns, each time with weights
that are multiples of 2^-22, and a rounding to 0 to 255. Features of enlarged, and so smooth, pictures move by a tenth
with such rounding, so it has to be the same. In 32-bit floating point a pixel times a weight would be rounded. Here
each weight is the sum of its first 11 bits and of the rest, and the sums of both are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fittingroom.networks.graph_builder import GraphBuilder

Array = np.ndarray[Any, Any]

_BITS = 22  # of Pillow's weights for 8-bit pictures
_FIRST = 11


def as_backbone_sees(builder: GraphBuilder, value: str, size: int) -> str:
    """Pictures as a backbone takes them, `(size, size, 3)`, values of 0 to 255.

    Args:
        builder: takes the operations.
        value: pictures `(height, width)` or `(height, width, 3)`, whole numbers of 0 to 255.
        size: height and width at which the backbone sees them.
    """
    grey = len(builder.shape(value)) == 2
    value = builder.add("reshape", [value], shape=(*builder.shape(value)[:2], 1 if grey else 3))
    for axis in _order(builder.shape(value)[:2], size):
        value = _resized(builder, value, axis, size)
    return builder.add("concatenate", [value] * 3, axis=-1) if grey else value


def _order(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Which axis Pillow resizes first: the rows; from version 13 on the columns, where these shrink by more.

    The result is rounded in between, so that the order shows. Pillow itself is asked, by a picture of noise.
    """
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    resized = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BILINEAR))
    columns = _along_rows(_along_rows(noise.astype(np.int64), size).T, size)
    return (1, 0) if np.array_equal(columns.T, resized) else (0, 1)


def _along_rows(pixels: Array, size: int) -> Array:
    if pixels.shape[1] == size:
        return pixels
    return (pixels @ pillow_weights(pixels.shape[1], size).T + (1 << (_BITS - 1))) >> _BITS


def _resized(builder: GraphBuilder, value: str, axis: int, size: int) -> str:
    """Pictures `(height, width, channels)` of another size along an axis."""
    before = builder.shape(value)[axis]
    if before == size:
        return value
    order = [place for place in range(3) if place != axis] + [axis]
    value = builder.add("transpose", [value], axes=order)
    weights = pillow_weights(before, size).T
    first = weights >> (_BITS - _FIRST)
    rest = weights - (first << (_BITS - _FIRST))
    value = _rounded(builder, value, first / 2**_FIRST, rest / 2**_BITS)
    return builder.add("transpose", [value], axes=np.argsort(order).tolist())


def _rounded(builder: GraphBuilder, value: str, first: Array, rest: Array) -> str:
    """The nearest whole number of a sum with weights in two parts, halves up, of numbers along the last axis."""
    total = builder.add("dense", [value], weights={"kernel": first})
    if not rest.any():
        return builder.add("floor", [_plus_half(builder, total)])
    below = builder.add("floor", [total])
    beyond = builder.add("dense", [value], weights={"kernel": rest})
    beyond = builder.add("add", [builder.add("subtract", [total, below]), beyond])
    return builder.add("add", [below, builder.add("floor", [_plus_half(builder, beyond)])])


def _plus_half(builder: GraphBuilder, value: str) -> str:
    return builder.add("scale", [value], weights={"scale": 1.0, "offset": 0.5})


def pillow_weights(before: int, after: int) -> Array:
    """The weights of `Image.resize` with `BILINEAR`, int64 `(after, before)`, as multiples of 2^-22.

    Args:
        before: pixels along an axis.
        after: pixels along it afterwards.
    """
    scale = before / after
    width = max(scale, 1.0)
    weights = np.zeros((after, before), np.int64)
    for place in range(after):
        center = (place + 0.5) * scale
        begin = max(int(center - width + 0.5), 0)
        end = min(int(center + width + 0.5), before)
        near = np.array([max(1 - abs((x - center + 0.5) * (1 / width)), 0.0) for x in range(begin, end)])
        near /= sum(near.tolist())  # in this order, as Pillow adds
        weights[place, begin:end] = (0.5 + near * 2**_BITS).astype(np.int64)
    return weights
