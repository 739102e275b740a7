"""How the images of a dataset were made, measured from its training part: what a photo must be brought to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.dataset import Dataset, Part
from fittingroom.photos.foreground import Mask, box, silhouette, templates_of

_LOOKED_AT = 1_000  # training images that are measured
_SAME = 4  # of 255: how far pixels of one background differ
_APART = 20  # of 255: how far a thing's pixels are from the background
_PLAIN = 0.5  # share of the pixels at the border that show the background, in a dataset of cut-out things


@dataclass(frozen=True, eq=False)
class ThingStyle:
    """How a dataset shows things on a plain background. Brightness is in 0 to 255, whatever the dataset's own scale is.

    Args:
        background: its brightness.
        mean: mean brightness of a thing, the median over the images.
        deviation: standard deviation of the brightness within a thing, the median over the images.
        extent: longest edge of a thing, as a share of that side of the image.
        by_mass: whether things lie with their centre of mass in the middle of the image, and not with their box.
        silhouettes: those of the measured things, `(n, SIDE * SIDE)`, 0 and 1.
    """

    background: int
    mean: float
    deviation: float
    extent: float
    by_mass: bool
    silhouettes: NDArray[np.float32]

    @cached_property
    def templates(self) -> NDArray[np.float32]:
        """The silhouettes as `photos.templates` lays them over photos; made when the first photo comes."""
        return templates_of(self.silhouettes)


@dataclass(frozen=True, eq=False)
class Style:
    """What the images of a dataset are like.

    Args:
        image_shape: `(height, width)` or `(height, width, 3)`.
        thing: how things are cut out and placed; None where images are whole pictures, which are only resized.
    """

    image_shape: tuple[int, ...]
    thing: ThingStyle | None = None


def style_of(dataset: Dataset) -> Style:
    """The style of a dataset. No image but those of its training part is looked at."""
    return style_of_images(dataset.name, dataset.train)


def style_of_images(name: str, train: Part) -> Style:
    """The style of a dataset.

    The pictures of a `folder:` were resized as they were, so a photo is too. Another dataset shows cut-out things if
    one brightness makes up most of the border of its images.

    Args:
        name: of the dataset.
        train: training images, of which the first thousand are measured.
    """
    shape = train.images.shape[1:]
    if name.startswith("folder:"):
        return Style(shape)
    images = train.images[:_LOOKED_AT].astype(np.float32) * np.float32(255 / train.scale)
    return Style(shape, thing_style(images if images.ndim == 3 else images.mean(axis=3)))


def thing_style(images: NDArray[np.float32]) -> ThingStyle | None:
    """The style of things in grey images `(n, height, width)`; None if they have no plain background."""
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    background = int(np.bincount(np.rint(border).astype(np.int64).ravel()).argmax())
    if (np.abs(border - background) <= _SAME).mean() < _PLAIN:
        return None
    masks = np.abs(images - background) > _APART
    pairs = [(image[mask], mask) for image, mask in zip(images, masks, strict=True) if mask.any()]
    if not pairs:
        return None
    light = np.array([(values.mean(), values.std()) for values, _ in pairs])
    places = np.array([_place(mask) for _, mask in pairs])
    extent = np.median(places[:, 0])
    # What the images were centred by lies always at the same place.
    box_spread, mass_spread = places[:, 1:3].std(axis=0).sum(), places[:, 3:5].std(axis=0).sum()
    silhouettes = np.array([silhouette(mask) for _, mask in pairs])
    mean, deviation = np.median(light, axis=0)
    return ThingStyle(
        background,
        float(mean),
        float(deviation),
        float(extent),
        bool(mass_spread < box_spread),
        silhouettes,
    )


def _place(mask: Mask) -> tuple[float, ...]:
    """The longest edge as a share of the image's side, and the centres of the box and of the mass, in pixels."""
    top, bottom, left, right = box(mask)
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    extent = max((bottom - top) / height, (right - left) / width)
    return extent, (top + bottom - 1) / 2, (left + right - 1) / 2, float(rows.mean()), float(columns.mean())
