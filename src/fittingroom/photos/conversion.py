"""From a photo to the input of a model, with the picture of every step kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.pictures import RESIZE_RULE, fit, pixels
from fittingroom.photos import steps
from fittingroom.photos.foreground import REFINED, Found, find_thing, resized
from fittingroom.photos.silhouettes import Mask
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
    cropped, mask = steps.crop(picture, mask)
    done = [Step("crop", "what has the thing in it", cropped)]
    cropped, mask, width = steps.narrow(cropped, mask, style)
    kept = "as it is" if width == 1 else f"{100 * width:.0f}% of its width"
    done.append(Step("proportions", f"{kept}: nearest to the silhouette of a training image", cropped))
    if len(shape) == 2:
        values = steps.grey(cropped)
        done.append(Step("grey", "brightness alone", _shown(values)))
        values, negated = steps.negate(values, mask, style)
        nearer = "the negative" if negated else "as it is"
        done.append(Step("polarity", f"{nearer}: nearer to training images", _shown(values)))
    else:
        values = cropped.astype(np.float32)
    values = steps.adjust(values, mask, style)
    done.append(Step("contrast", "mean and deviation of training images", _shown(values)))
    values, share = steps.fit(values, mask, style, shape)
    done.append(Step("size", "longest edge as in training images", _shown(values * _like(share, values))))
    image = steps.place(values, share, style, shape)
    centred = "centre of mass" if style.by_mass else "box"
    done.append(Step("centre", f"{centred} in the middle, on the background of training images", image))
    return done


def _shown(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)


def _like(share: steps.Floats, values: steps.Floats) -> steps.Floats:
    return share.reshape(*share.shape, *[1] * (values.ndim - 2))


def _on_white(picture: Pixels, mask: Mask) -> Pixels:
    return np.where(mask[..., None], picture, np.uint8(255))
