"""From a photo to the input of a model, with the picture of every step; and synthetic photos, which go the same way.

Synthetic photos are made from a dataset's own images, whose classes are known: each foreground is enlarged, turned,
widened, bent, folded and lit at random. They are no photographs, but a model confuses in them what it confuses in real
ones, so answers to photos are recalibrated on them. How the changes are drawn was set by eye. Nothing is mirrored, as a
digit would become another sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.dataset import Part
from fittingroom.data.model_inputs import ConversionStep
from fittingroom.data.pictures import Picture
from fittingroom.data.resizing import RESIZE_RULES, fitted
from fittingroom.photos.foreground import REFINED, Foreground, Mask, Silhouettes, box, resized
from fittingroom.seeds import generator

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

# Of synthetic photos.
_LARGER = 3  # pixels of a photo for each of an image of 28 x 28
_MARGIN = 8  # of these pixels of the image, on each side of it
_APART = 12  # of 255: what is nearer to the background is not foreground


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
        return cls((first, second, *_in_style(picture, found.mask, style.foreground, style.image_shape)), found)

    @property
    def image(self) -> Pixels:
        """The result, uint8 in 0 to 255, in the shape of the model's images."""
        picture = self.steps[-1].picture
        assert picture is not None  # only `ModelInputs.without_pictures` takes them away
        return picture


def synthetic_inputs(images: NDArray[np.uint8], style: ForegroundStyle, scale: float) -> NDArray[np.uint8]:
    """Images of a dataset, each as a model would see a photo of its foreground; the same ones every time.

    Where the foreground is counts as known.

    Args:
        images: `(n, height, width)` or `(n, height, width, 3)`.
        style: of the dataset.
        scale: the largest value of its images; what comes back is on it, too.
    """
    made = []
    for number, image in enumerate(images):
        picture, mask = _synthetic_photo(image * np.float32(255 / scale), style, generator(0, "augment", number))
        made.append(Conversion(tuple(_in_style(picture, mask, style, image.shape))).image)
    return np.asarray(np.rint(np.stack(made) * (scale / 255)), np.uint8)


def _synthetic_photo(
    image: Floats, style: ForegroundStyle, random: np.random.Generator
) -> tuple[NDArray[np.uint8], Mask]:
    """A picture of an image's foreground, and where it is in the picture; what lies around it means nothing.

    Args:
        image: 0 to 255, `(height, width)` or `(height, width, 3)`.
        style: of the dataset that has it.
        random: what the changes are drawn from.

    Returns:
        `(h, w, 3)` and `(h, w)`.
    """
    import cv2

    grey = image if image.ndim == 2 else image.mean(axis=2)
    apart = (np.abs(grey - style.background) > _APART).astype(np.float32)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    rows, columns = _places(grey.shape, random)
    mask = np.asarray(cv2.remap(closed, columns, rows, cv2.INTER_LINEAR) > 0.5)
    if not mask.any():  # a foreground of hardly any pixels
        mask[:] = True
    moved = np.asarray(cv2.remap(image, columns, rows, cv2.INTER_CUBIC), np.float32)
    lit = moved.reshape(*mask.shape, -1)
    lit = (lit - lit[mask].mean()) * np.float32(np.exp(random.normal(0, 0.4))) + _light(mask.shape, random)[..., None]
    lit = np.broadcast_to(lit, (*mask.shape, 3))
    return np.rint(np.clip(lit, 0, 255)).astype(np.uint8), mask


def _whole(photo: Image.Image, style: Style) -> tuple[ConversionStep, ...]:
    """The whole photo at the size of the model's images, resized as the pictures of a `folder:` are."""
    height, width, *channels = style.image_shape
    image = np.asarray(fitted(photo, height, width, style.aspect).convert("RGB" if channels else "L"))
    return (
        ConversionStep("photo", "as it came", Picture.pixels_of(photo)),
        ConversionStep("size", RESIZE_RULES[style.aspect], image),
    )


def _in_style(picture: Pixels, mask: Mask, style: ForegroundStyle, shape: tuple[int, ...]) -> list[ConversionStep]:
    """The steps from a picture and its foreground to an image of the given shape, the last one's picture.

    Args:
        picture: `(height, width, 3)`.
        mask: of the foreground, not empty.
        style: of the dataset whose images it becomes like.
        shape: of these images, `(height, width)` or `(height, width, 3)`.
    """
    cropped, mask = _crop(picture, mask)
    done = [ConversionStep("crop", "the box around the foreground", cropped)]
    cropped, mask, width = _narrow(cropped, mask, style)
    kept = "as it is" if width == 1 else f"{100 * width:.0f}% of its width"
    done.append(ConversionStep("proportions", f"{kept}: nearest to the silhouette of a training image", cropped))
    if len(shape) == 2:
        values = _grey(cropped)
        done.append(ConversionStep("grey", "brightness alone", _shown(values)))
        values, negated = _negate(values, mask, style)
        nearer = "the negative" if negated else "as it is"
        done.append(ConversionStep("polarity", f"{nearer}: nearer to training images", _shown(values)))
    else:
        values = cropped.astype(np.float32)
    values = _adjust(values, mask, style)
    done.append(ConversionStep("contrast", "mean and deviation of training images", _shown(values)))
    values, share = _fit_style(values, mask, style, shape)
    done.append(ConversionStep("size", "longest edge as in training images", _shown(values * _like(share, values))))
    image = _place(values, share, style, shape)
    centred = "centre of mass" if style.by_mass else "box"
    done.append(ConversionStep("centre", f"{centred} in the middle, on the background of training images", image))
    return done


def _crop(picture: NDArray[Any], mask: Mask) -> tuple[NDArray[Any], Mask]:
    """The box that the mask lies in: of the picture, and of the mask."""
    top, bottom, left, right = box(mask)
    return picture[top:bottom, left:right], mask[top:bottom, left:right]


def _narrow(picture: NDArray[Any], mask: Mask, style: ForegroundStyle) -> tuple[NDArray[Any], Mask, float]:
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
    best = int(style.silhouettes.likeness(masks).argmax())
    return (picture if best == 0 else changed(picture, _WIDTHS[best])), masks[best], _WIDTHS[best]


def _grey(picture: NDArray[Any]) -> Floats:
    """The brightness of an RGB picture, weighted as ITU-R BT.601 says."""
    return np.asarray(picture.astype(np.float32) @ _LUMA)


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


def _places(shape: tuple[int, ...], random: np.random.Generator) -> tuple[Floats, Floats]:
    """Where each pixel of the photo lies in the image, in its rows and columns: turned, widened, bent."""
    sides = [side + 2 * _MARGIN * side / 28 for side in shape]
    larger = _LARGER * 28 / max(shape)
    rows, columns = np.mgrid[: round(sides[0] * larger), : round(sides[1] * larger)].astype(np.float32)
    down, right = rows / larger - sides[0] / 2, columns / larger - sides[1] / 2
    angle, wider = np.radians(random.normal(0, 8)), np.exp(random.uniform(-0.1, 0.4))
    bends = [_smooth_noise(rows.shape, 5, random) * random.uniform(0, max(shape) / 28) for _ in range(2)]
    turned = np.cos(angle) * down + np.sin(angle) * right, np.cos(angle) * right - np.sin(angle) * down
    return (
        np.asarray(turned[0] + bends[0] + (shape[0] - 1) / 2, np.float32),
        np.asarray(turned[1] / wider + bends[1] + (shape[1] - 1) / 2, np.float32),
    )


def _light(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """The brightness of plain cloth: any level, folds, and light from one side."""
    light = np.full(shape, random.uniform(60, 200))
    for least, most, strength in ((5, 14, 45), (12, 28, 25)):  # wide folds and small ones
        light += _smooth_noise(shape, int(random.integers(least, most)), random) * random.uniform(0, strength)
    slope = random.normal(0, 15, 2)
    light += slope[0] * np.linspace(-1, 1, shape[0])[:, None] + slope[1] * np.linspace(-1, 1, shape[1])
    return np.asarray(light, np.float32)


def _smooth_noise(shape: tuple[int, ...], cells: int, random: np.random.Generator) -> NDArray[Any]:
    """Smooth noise with mean 0 and a deviation of about 1, so many blotches high and wide."""
    import cv2

    coarse = random.normal(size=(cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC))
