"""From a photo to the input of a model, with the picture of every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.dataset import Part
from fittingroom.data.model_inputs import ConversionStep
from fittingroom.data.pictures import Picture
from fittingroom.data.resizing import RESIZE_RULES, fitted
from fittingroom.photos.foreground import REFINED, Foreground, Mask, Silhouettes, box, resized

if TYPE_CHECKING:
    from PIL import Image

_MEASURED = 1_000  # training images
_SAME = 4  # of 255: how far pixels of one background differ
_FOREGROUND_APART = 20  # of 255: how far the foreground's pixels are from the background
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
        masks = np.abs(images - background) > _FOREGROUND_APART
        pairs = [(image[mask], mask) for image, mask in zip(images, masks, strict=True) if mask.any()]
        if not pairs:
            return None
        light = np.array([(values.mean(), values.std()) for values, _ in pairs])
        places = np.array([_where(mask) for _, mask in pairs])
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
        aspect: how whole pictures are resized, a key of `data.resizing.RESIZE_RULES`.
    """

    image_shape: tuple[int, ...]
    foreground: ForegroundStyle | None = None
    aspect: str = "pad"

    @property
    def note(self) -> str:
        """What becomes of a photo, in a sentence."""
        if self.foreground is None:
            return "The whole picture is resized, as the training images were."
        return "Its foreground is cut out, and shown as the training images show theirs."

    @classmethod
    def of(cls, name: str, train: Part, aspect: str = "pad") -> Style:
        """The style of a dataset.

        The pictures of a `folder:` were resized as they were, so a photo is too. Another dataset shows cut-out
        foregrounds if one brightness makes up most of the border of its images.

        Args:
            name: of the dataset.
            train: training images, of which the first thousand are measured.
            aspect: how the pictures of a folder were resized.
        """
        shape = train.images.shape[1:]
        if name.startswith("folder:"):
            return cls(shape, aspect=aspect)
        images = train.images[:_MEASURED].astype(np.float32) * np.float32(255 / train.scale)
        foreground = ForegroundStyle.of(images if images.ndim == 3 else images.mean(axis=3))
        return cls(shape, foreground, aspect=aspect)


def _where(mask: Mask) -> tuple[float, ...]:
    """The longest edge as a share of the image's side, and the centres of the box and of the mass, in pixels."""
    top, bottom, left, right = box(mask)
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    extent = max((bottom - top) / height, (right - left) / width)
    return extent, (top + bottom - 1) / 2, (left + right - 1) / 2, float(rows.mean()), float(columns.mean())


Pixels = NDArray[np.uint8]
"""`(height, width)` grey or `(height, width, 3)` RGB."""

Floats = NDArray[np.float32]
"""Brightness in 0 to 255: `(height, width)` or `(height, width, 3)`."""

_MOST_STRETCH = 3.0  # differences within a foreground grow by no more, so that noise does not become a pattern
_WIDTHS = (1.0, 0.92, 0.85, 0.78, 0.7, 0.64, 0.58)  # tried for a foreground that is too wide
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class Conversion:
    """A photo on its way to a model.

    Args:
        steps: in order, each with its picture: first the photo itself, last the model's image.
        foreground: where it is in the first step's picture; None where none was looked for.
    """

    steps: tuple[ConversionStep, ...]
    foreground: Foreground | None = None

    @classmethod
    def of(cls, photo: Image.Image, style: Style) -> Conversion:
        """A photo as an image like those of a dataset.

        Args:
            photo: mode L or RGB, upright, as `data.pictures.Picture.open` gives it; any size.
            style: of the dataset that the model was trained on.
        """
        if style.foreground is None:
            return cls(_whole(photo, style))
        picture = resized(np.asarray(photo.convert("RGB")), REFINED)
        found = Foreground.find(picture, style.foreground.silhouettes)
        first = ConversionStep("photo", f"scaled to {picture.shape[1]}×{picture.shape[0]} pixels", picture)
        cut = np.where(found.mask[..., None], picture, np.uint8(255))
        second = ConversionStep("foreground", f"found by {found.way}", cut)
        cutout = Cutout.of(picture, found.mask)
        (best,) = Cutout.likest([cutout], style.foreground)
        return cls((first, second, *cutout.steps(best, style.foreground, style.image_shape)), found)

    @property
    def image(self) -> Pixels:
        """The result, uint8 in 0 to 255, in the shape of the model's images."""
        picture = self.steps[-1].picture
        assert picture is not None  # only `ModelInputs.without_pictures` takes them away
        return picture


def _whole(photo: Image.Image, style: Style) -> tuple[ConversionStep, ...]:
    """The whole photo at the size of the model's images, resized as the pictures of a `folder:` are."""
    height, width, *channels = style.image_shape
    image = np.asarray(fitted(photo, height, width, style.aspect).convert("RGB" if channels else "L"))
    return (
        ConversionStep("photo", "as it came", Picture.pixels_of(photo)),
        ConversionStep("size", RESIZE_RULES[style.aspect], image),
    )


@dataclass(frozen=True, eq=False)
class Cutout:
    """A foreground on its way to an image like those of a dataset.

    Args:
        picture: the box around the foreground, `(height, width, 3)`, or `(height, width)` where it is grey.
        masks: of the foreground in it, one for each share of its width that is tried, the whole width first.
    """

    picture: Pixels
    masks: Sequence[Mask]

    @classmethod
    def of(cls, picture: Pixels, mask: Mask) -> Cutout:
        """What a mask, which is not empty, cuts out of a picture."""
        top, bottom, left, right = box(mask)
        mask = mask[top:bottom, left:right]
        levels = mask.astype(np.uint8) * np.uint8(255)
        narrower = [np.asarray(_narrower(levels, width) > 127) for width in _WIDTHS[1:]]
        return cls(picture[top:bottom, left:right], [mask, *narrower])

    @staticmethod
    def likest(several: Sequence[Cutout], style: ForegroundStyle) -> list[int]:
        """Which mask of each is most like the silhouette of a training image.

        Clothes that lie flat, with their sleeves spread, are wider than the same clothes on a hanger or a body.
        """
        masks = [mask for one in several for mask in one.masks]
        return [int(place) for place in style.silhouettes.likeness(masks).reshape(-1, len(_WIDTHS)).argmax(axis=1)]

    def steps(self, mask: int, style: ForegroundStyle, shape: tuple[int, ...]) -> list[ConversionStep]:
        """The steps to an image of the given shape, which is the last one's picture.

        Args:
            mask: the one that is taken.
            style: of the dataset whose images it becomes like.
            shape: of these images, `(height, width)` or `(height, width, 3)`.
        """
        return [ConversionStep(name, note, _shown(values)) for name, note, values in self._stages(mask, style, shape)]

    def image(self, mask: int, style: ForegroundStyle, shape: tuple[int, ...]) -> Pixels:
        """The image alone; the arguments are those of `steps`."""
        *_, (_, _, image) = self._stages(mask, style, shape)
        return np.asarray(image, np.uint8)

    def _stages(
        self, number: int, style: ForegroundStyle, shape: tuple[int, ...]
    ) -> Iterator[tuple[str, str, NDArray[Any]]]:
        """Each step's name and note, and the values of its picture, 0 to 255 once they are rounded and clipped."""
        yield "crop", "the box around the foreground", self.picture
        width, mask = _WIDTHS[number], self.masks[number]
        picture = self.picture if number == 0 else _narrower(self.picture, width)
        kept = "as it is" if number == 0 else f"{100 * width:.0f}% of its width"
        yield "proportions", f"{kept}: nearest to the silhouette of a training image", picture
        if len(shape) == 2:
            values = _grey(picture)
            yield "grey", "brightness alone", values
            values, negated = _negate(values, mask, style)
            nearer = "the negative" if negated else "as it is"
            yield "polarity", f"{nearer}: nearer to training images", values
        else:
            values = picture.astype(np.float32)
        values = _adjust(values, mask, style)
        yield "contrast", "mean and deviation of training images", values
        values, share = _fit_style(values, mask, style, shape)
        yield "size", "longest edge as in training images", values * _like(share, values)
        centred = "centre of mass" if style.by_mass else "box"
        note = f"{centred} in the middle, on the background of training images"
        yield "centre", note, _place(values, share, style, shape)


def _narrower(picture: NDArray[Any], width: float) -> NDArray[Any]:
    """A picture at a share of its width."""
    import cv2

    size = max(round(picture.shape[1] * width), 1), picture.shape[0]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _grey(picture: NDArray[Any]) -> Floats:
    """The brightness of an RGB picture, weighted as ITU-R BT.601 says; a grey one's is its own."""
    return np.asarray(picture.astype(np.float32) if picture.ndim == 2 else picture.astype(np.float32) @ _LUMA)


def _negate(picture: Floats, mask: Mask, style: ForegroundStyle) -> tuple[Floats, bool]:
    """The picture or its negative, whichever has the mean brightness nearer to that of training images; and which."""
    mean = float(picture[mask].mean())
    negated = abs(255 - mean - style.mean) < abs(mean - style.mean)
    return (np.float32(255) - picture if negated else picture), negated


def _adjust(picture: Floats, mask: Mask, style: ForegroundStyle) -> Floats:
    """The picture with the mean and the deviation of foregrounds in training images, the background left out."""
    values = picture[mask]
    stretch = min(style.deviation / max(float(values.std()), 1.0), _MOST_STRETCH)
    adjusted = (picture - values.mean()) * np.float32(stretch) + np.float32(style.mean)
    return np.asarray(np.clip(adjusted, 0, 255), np.float32)


def _fit_style(picture: Floats, mask: Mask, style: ForegroundStyle, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The picture and its mask, the foreground as large as in training images of this shape.

    Returns:
        The picture, with the foreground's own brightness up to its edge, and its share in each pixel, 0 to 1.
    """
    import cv2

    ratio = style.extent * min(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    size = max(round(picture.shape[1] * ratio), 1), max(round(picture.shape[0] * ratio), 1)
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    weights = mask.astype(np.float32)
    share = np.asarray(cv2.resize(weights, size, interpolation=method), np.float32)
    # Weighted by the mask and divided again, so that the background does not bleed into the edge.
    weighted = picture * weights.reshape(*weights.shape, *[1] * (picture.ndim - 2))
    resized = np.asarray(cv2.resize(weighted, size, interpolation=method), np.float32)
    light = resized / np.maximum(share, 1e-3).reshape(*share.shape, *[1] * (picture.ndim - 2))
    return np.asarray(light, np.float32), share


def _place(picture: Floats, share: Floats, style: ForegroundStyle, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The foreground on the background of training images, where it is in them: an image of the given shape."""
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


def _shown(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)


def _like(share: Floats, values: Floats) -> Floats:
    return share.reshape(*share.shape, *[1] * (values.ndim - 2))
