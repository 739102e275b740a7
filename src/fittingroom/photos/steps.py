"""The steps from a photo and a mask to an image like those of the training data, each a function of arrays alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.silhouettes import Mask, box, likeness
from fittingroom.photos.style import ThingStyle

Floats = NDArray[np.float32]
"""Brightness in 0 to 255: `(height, width)` or `(height, width, 3)`."""

_MOST_STRETCH = 3.0  # differences within a thing grow by no more, so that noise does not become a pattern
_WIDTHS = (1.0, 0.92, 0.85, 0.78, 0.7, 0.64, 0.58)  # tried for a thing that is too wide
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def crop(picture: NDArray[Any], mask: Mask) -> tuple[NDArray[Any], Mask]:
    """The box that the mask lies in: of the picture, and of the mask."""
    top, bottom, left, right = box(mask)
    return picture[top:bottom, left:right], mask[top:bottom, left:right]


def narrow(picture: NDArray[Any], mask: Mask, style: ThingStyle) -> tuple[NDArray[Any], Mask, float]:
    """The picture and the mask made narrower where that makes the silhouette more like those of training images.

    Clothes that lie flat, with their sleeves spread, are wider than the same clothes on a hanger or a body.

    Returns:
        The picture, the mask, and the share of the width that is kept.
    """
    import cv2

    def changed(array: NDArray[Any], width: float) -> NDArray[Any]:
        size = max(round(array.shape[1] * width), 1), array.shape[0]
        return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA))

    def at(width: float) -> Mask:
        return mask if width == 1 else np.asarray(changed(mask.astype(np.uint8) * 255, width) > 127)

    masks = [at(width) for width in _WIDTHS]
    best = int(likeness(masks, style.silhouettes).argmax())
    return (picture if best == 0 else changed(picture, _WIDTHS[best])), masks[best], _WIDTHS[best]


def grey(picture: NDArray[Any]) -> Floats:
    """The brightness of an RGB picture, weighted as ITU-R BT.601 says."""
    return np.asarray(picture.astype(np.float32) @ _LUMA)


def negate(picture: Floats, mask: Mask, style: ThingStyle) -> tuple[Floats, bool]:
    """The picture or its negative, whichever has the mean brightness nearer to that of training images; and which."""
    mean = float(picture[mask].mean())
    negated = abs(255 - mean - style.mean) < abs(mean - style.mean)
    return (np.float32(255) - picture if negated else picture), negated


def adjust(picture: Floats, mask: Mask, style: ThingStyle) -> Floats:
    """The picture with the mean and the deviation that things have in training images, the background left out."""
    values = picture[mask]
    stretch = min(style.deviation / max(float(values.std()), 1.0), _MOST_STRETCH)
    adjusted = (picture - values.mean()) * np.float32(stretch) + np.float32(style.mean)
    return np.asarray(np.clip(adjusted, 0, 255), np.float32)


def fit(picture: Floats, mask: Mask, style: ThingStyle, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The thing and its mask, made as large as things are in training images of this shape.

    Returns:
        The picture, with the thing's own brightness up to its edge, and the share of the thing in each pixel, 0 to 1.
    """
    import cv2

    ratio = style.extent * min(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    size = max(round(picture.shape[1] * ratio), 1), max(round(picture.shape[0] * ratio), 1)
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    weights = mask.astype(np.float32)
    share = np.asarray(cv2.resize(weights, size, interpolation=method), np.float32)
    weighted = picture * weights.reshape(*weights.shape, *[1] * (picture.ndim - 2))
    resized = np.asarray(cv2.resize(weighted, size, interpolation=method), np.float32)
    light = resized / np.maximum(share, 1e-3).reshape(*share.shape, *[1] * (picture.ndim - 2))
    return np.asarray(light, np.float32), share


def place(picture: Floats, share: Floats, style: ThingStyle, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The thing on the background of training images, where things are in them: an image of the given shape."""
    light = share.reshape(*share.shape, *[1] * (picture.ndim - 2))
    mixed = style.background + (picture - style.background) * light
    canvas = np.full(shape, style.background, np.float32)
    height, width = share.shape
    middle = _centre_of_mass(share) if style.by_mass else ((height - 1) / 2, (width - 1) / 2)
    top, left = (
        min(max(round((side - 1) / 2 - centre), 0), side - length)
        for side, centre, length in zip(shape[:2], middle, (height, width), strict=True)
    )
    canvas[top : top + height, left : left + width] = mixed
    return np.rint(np.clip(canvas, 0, 255)).astype(np.uint8)


def _centre_of_mass(share: Floats) -> tuple[float, float]:
    total = max(float(share.sum()), 1e-6)
    rows, columns = (float((share.sum(axis=1 - axis) * np.arange(share.shape[axis])).sum()) for axis in (0, 1))
    return rows / total, columns / total
