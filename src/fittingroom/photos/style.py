"""`Style`: how the images of a dataset were made, measured from its training part; photos are converted to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.dataset import Part
from fittingroom.photos.foreground import Mask, Silhouettes, box

_MEASURED = 1_000  # training images
_SAME = 4  # of 255: how far pixels of one background differ
_APART = 20  # of 255: how far the foreground's pixels are from the background
_PLAIN = 0.5  # share of the pixels at the border that show the background, in a dataset of cut-out foregrounds


@dataclass(frozen=True, eq=False)
class ForegroundStyle:
    """How a dataset shows foregrounds on a plain background. Brightness is 0 to 255, whatever the dataset's own scale.

    Args:
        background: its brightness.
        mean: mean brightness of the foreground, the median over the images.
        deviation: standard deviation of the brightness within the foreground, the median over the images.
        extent: longest edge of the foreground, as a share of that side of the image.
        by_mass: whether foregrounds are centred by their centre of mass, and not by their box.
        silhouettes: those of the measured images.
    """

    background: int
    mean: float
    deviation: float
    extent: float
    by_mass: bool
    silhouettes: Silhouettes

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> ForegroundStyle | None:
        """The style of grey images `(n, height, width)`, 0 to 255; None if they have no plain background."""
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
        # What the images were centred by always lies at the same place.
        box_spread, mass_spread = places[:, 1:3].std(axis=0).sum(), places[:, 3:5].std(axis=0).sum()
        mean, deviation = np.median(light, axis=0)
        return cls(
            background,
            float(mean),
            float(deviation),
            float(np.median(places[:, 0])),
            bool(mass_spread < box_spread),
            Silhouettes.of([mask for _, mask in pairs]),
        )


@dataclass(frozen=True, eq=False)
class Style:
    """What the images of a dataset are like.

    Args:
        image_shape: `(height, width)` or `(height, width, 3)`.
        foreground: how foregrounds are cut out and placed; None where images are whole pictures, which are only
            resized.
    """

    image_shape: tuple[int, ...]
    foreground: ForegroundStyle | None = None

    @classmethod
    def of(cls, name: str, train: Part) -> Style:
        """The style of a dataset.

        The pictures of a `folder:` were resized as they were, so a photo is too. Another dataset shows cut-out
        foregrounds if one brightness makes up most of the border of its images.

        Args:
            name: of the dataset.
            train: training images, of which the first thousand are measured.
        """
        shape = train.images.shape[1:]
        if name.startswith("folder:"):
            return cls(shape)
        images = train.images[:_MEASURED].astype(np.float32) * np.float32(255 / train.scale)
        return cls(shape, ForegroundStyle.of(images if images.ndim == 3 else images.mean(axis=3)))


def _place(mask: Mask) -> tuple[float, ...]:
    """The longest edge as a share of the image's side, and the centres of the box and of the mass, in pixels."""
    top, bottom, left, right = box(mask)
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    extent = max((bottom - top) / height, (right - left) / width)
    return extent, (top + bottom - 1) / 2, (left + right - 1) / 2, float(rows.mean()), float(columns.mean())
