"""From a photo to the input of a model, with the picture of every step kept.

The steps from a photo and a mask to an image like those of the training data, each a function of arrays alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.pictures import RESIZE_RULE, fit, pixels
from fittingroom.photos.foreground import REFINED, Found, Mask, box, find_thing, likeness, resized
from fittingroom.photos.style import Style, ThingStyle

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
"""`(height, width)` grey or `(height, width, 3)` RGB."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a step gave.

    Args:
        name: of the step, one or two words.
        note: what was done, and by what it was decided.
        picture: what there was after it.
    """

    name: str
    note: str
    picture: Pixels


@dataclass(frozen=True, eq=False)
class Conversion:
    """A photo on its way to a model.

    Args:
        steps: in order, the photo itself first; the last one has `image`.
        image: uint8 in 0 to 255, in the shape of the model's images.
        found: where the thing is in the first step's picture; None where none was looked for.
    """

    steps: tuple[Step, ...]
    image: Pixels
    found: Found | None = None


def convert(photo: Image.Image, style: Style) -> Conversion:
    """A photo as an image like those of a dataset.

    Args:
        photo: mode L or RGB, upright, as `data.pictures.open_picture` gives it; any size.
        style: of the dataset that the model was trained on.
    """
    if style.thing is None:
        return _resized(photo, style.image_shape)
    picture = resized(np.asarray(photo.convert("RGB")), REFINED)
    return _cut_out(picture, style.thing, style.image_shape)


def _resized(photo: Image.Image, shape: tuple[int, ...]) -> Conversion:
    """The whole photo at the size of the model's images, as the pictures of a `folder:` are brought to it."""
    image = np.asarray(fit(photo, *shape[:2]).convert("L" if len(shape) == 2 else "RGB"))
    return Conversion((Step("photo", "as it was given", pixels(photo)), Step("size", RESIZE_RULE, image)), image)


def _cut_out(picture: Pixels, style: ThingStyle, shape: tuple[int, ...]) -> Conversion:
    """The thing in a photo, shown as training images show theirs."""
    photo = Step("photo", f"{picture.shape[1]}x{picture.shape[0]} pixels of it are looked at", picture)
    found = find_thing(picture, style.templates)
    thing = Step("thing", f"found by {found.way}", _on_white(picture, found.mask))
    done = (photo, thing, *of_thing(picture, found.mask, style, shape))
    return Conversion(done, done[-1].picture, found)


def of_thing(picture: Pixels, mask: Mask, style: ThingStyle, shape: tuple[int, ...]) -> list[Step]:
    """The steps from a picture and where the thing is in it to an image of the given shape, the last one's picture.

    Args:
        picture: `(height, width, 3)`.
        mask: of the thing, not empty.
        style: of the dataset whose images it shall be like.
        shape: of these images, `(height, width)` or `(height, width, 3)`.
    """
    cropped, mask = crop(picture, mask)
    done = [Step("crop", "what has the thing in it", cropped)]
    cropped, mask, width = narrow(cropped, mask, style)
    kept = "as it is" if width == 1 else f"{100 * width:.0f}% of its width"
    done.append(Step("proportions", f"{kept}: nearest to the silhouette of a training image", cropped))
    if len(shape) == 2:
        values = grey(cropped)
        done.append(Step("grey", "brightness alone", _shown(values)))
        values, negated = negate(values, mask, style)
        nearer = "the negative" if negated else "as it is"
        done.append(Step("polarity", f"{nearer}: nearer to training images", _shown(values)))
    else:
        values = cropped.astype(np.float32)
    values = adjust(values, mask, style)
    done.append(Step("contrast", "mean and deviation of training images", _shown(values)))
    values, share = fit_style(values, mask, style, shape)
    done.append(Step("size", "longest edge as in training images", _shown(values * _like(share, values))))
    image = place(values, share, style, shape)
    centred = "centre of mass" if style.by_mass else "box"
    done.append(Step("centre", f"{centred} in the middle, on the background of training images", image))
    return done


def _shown(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)


def _like(share: Floats, values: Floats) -> Floats:
    return share.reshape(*share.shape, *[1] * (values.ndim - 2))


def _on_white(picture: Pixels, mask: Mask) -> Pixels:
    return np.where(mask[..., None], picture, np.uint8(255))


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


def fit_style(picture: Floats, mask: Mask, style: ThingStyle, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
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
