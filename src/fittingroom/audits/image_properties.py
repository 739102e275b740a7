"""Properties of images that can be measured without knowing a label or an answer, with their words.

Each is a number per image with a unit that a person can picture. What does not vary among the images is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.text import MINUS, file_size, number, percent

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part
    from fittingroom.data.stored_images import StoredImages

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_BLOCK_BYTES = 8 * 2**20  # of images that are looked at together
_FILLED = 0.1  # difference from the background, of the full range, from which a pixel counts as filled
_LEAST_VALUES = 5  # distinct values, below which a property is not looked at
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class PropertyWords:
    """How one property is written.

    Args:
        name: of the property: `brightness`.
        low: images with little of it: `dark`.
        high: images with much of it: `bright`.
        written: one value in words, with its unit.
    """

    name: str
    low: str
    high: str
    written: Callable[[float], str]

    def range(self, low: float | None, high: float | None, images: str = "images") -> str:
        """`dark images (brightness at most 12%)`; `images with brightness from 12% to 20%`.

        Args:
            low: the smallest value, included; None where there is no lower limit.
            high: the largest value, included; None where there is no upper limit.
            images: the images that it is said of.
        """
        if low is None and high is not None:
            return f"{self.low} {images} ({self.name} at most {self.written(high)})"
        if high is None and low is not None:
            return f"{self.high} {images} ({self.name} at least {self.written(low)})"
        if low is None or high is None:
            return images
        return f"{images} with {self.name} from {self.written(low)} to {self.written(high)}"


def _whole_percent(share: float) -> str:
    return percent(share, 0 if share >= 0.095 else 1)


def _signed(value: float) -> str:
    return number(value, 2)


def _plain(value: float) -> str:
    return number(value, 2)


WORDS = {
    words.name: words
    for words in (
        PropertyWords("brightness", "dark", "bright", _whole_percent),
        PropertyWords("contrast", "low-contrast", "high-contrast", _whole_percent),
        PropertyWords("filled area", "sparsely filled", "widely filled", _whole_percent),
        PropertyWords("height", "flat", "tall", _whole_percent),
        PropertyWords("width", "narrow", "wide", _whole_percent),
        PropertyWords("symmetry", "asymmetric", "symmetric", _signed),
        PropertyWords("sharpness", "smooth", "sharply textured", _plain),
        PropertyWords("distance from the centre", "centred", "off-centre", _whole_percent),
        PropertyWords("colourfulness", "colourless", "colourful", _whole_percent),
        PropertyWords("size of the file", "strongly compressed", "large-file", file_size),
    )
}
"""The words of each property, by its name."""

MEANINGS = {
    "brightness": "mean of all pixels, of the full range",
    "contrast": "standard deviation of the pixels, of the full range",
    "filled area": "share of pixels that differ from the image's border by more than 10% of the full range",
    "height": "rows from the first to the last filled pixel, of the image's height",
    "width": "columns from the first to the last filled pixel, of the image's width",
    "symmetry": f"correlation of the image with its mirror image, {MINUS}1 to 1",
    "sharpness": "mean difference of a pixel from its neighbours, of the contrast",
    "distance from the centre": "of the filled pixels' centre from the image's, of half its diagonal",
    "colourfulness": "mean difference of the strongest and the weakest colour of a pixel, of the full range",
    "size of the file": "bytes of the picture file",
}
"""What each property is, by its name."""


def image_properties(
    part: Part, folder: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Floats]:
    """The properties of all images of a part by their names, `(images,)`; those that do not vary are left out.

    Args:
        part: the images.
        folder: that the part's files are in; None where the images have no files.
        progress: called with the number of images that are done, and of all.
    """
    parts: list[dict[str, Floats]] = []
    for start, images in _blocks(part.images):
        parts.append(_of_block(images, part.scale))
        if progress is not None:
            progress(start + len(images), len(part))
    found = {name: np.concatenate([one[name] for one in parts]) for name in (parts[0] if parts else ())}
    sizes = None if folder is None else _file_sizes(folder, part.files)
    if sizes is not None:
        found["size of the file"] = sizes
    return {name: values for name, values in found.items() if len(np.unique(values)) >= _LEAST_VALUES}


def _blocks(images: npt.NDArray[np.uint8] | StoredImages) -> Iterable[tuple[int, npt.NDArray[np.uint8]]]:
    """Images in turn, in blocks of a few megabytes, each with the position of its first."""
    each = max(int(_BLOCK_BYTES // max(int(np.prod(images.shape[1:])), 1)), 1)
    for start in range(0, len(images), each):
        yield start, np.asarray(images[start : start + each])


def _file_sizes(folder: Path, files: Sequence[str]) -> Floats | None:
    """Bytes of each file; None where there are no files, or one is not there."""
    if not files:
        return None
    try:
        return np.asarray([(folder / name).stat().st_size for name in files], np.float64)
    except OSError:
        return None


def _of_block(images: npt.NDArray[np.uint8], scale: float) -> dict[str, Floats]:
    """The properties of images `(n, height, width)` or `(n, height, width, 3)`."""
    values: Float32 = (images / np.float32(scale)).astype(np.float32)
    grey: Float32 = np.asarray(values @ _LUMA, np.float32) if values.ndim == 4 else values
    brightness, contrast = grey.mean(axis=(1, 2)), grey.std(axis=(1, 2))
    found: dict[str, Any] = {"brightness": brightness, "contrast": contrast, **_of_shape(grey)}
    found["symmetry"] = _correlation(grey, grey[:, :, ::-1])
    rough = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2)) if grey.shape[1] > 1 else np.zeros(len(grey))
    rough = rough + (np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2)) if grey.shape[2] > 1 else 0)
    found["sharpness"] = rough / 2 / np.maximum(contrast, 1e-6)
    if values.ndim == 4:
        found["colourfulness"] = (values.max(axis=3) - values.min(axis=3)).mean(axis=(1, 2))
    return {name: np.asarray(np.round(one, 6), np.float64) for name, one in found.items()}


def _of_shape(grey: Float32) -> dict[str, npt.NDArray[Any]]:
    """Area, height, width and place of what differs from the image's border."""
    height, width = grey.shape[1:]
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    filled = np.abs(grey - np.median(border, axis=1)[:, None, None]) > _FILLED
    rows, columns = filled.any(axis=2), filled.any(axis=1)
    down, across = filled.sum(axis=2), filled.sum(axis=1)
    count = np.maximum(filled.sum(axis=(1, 2)), 1)
    off_y = down @ (np.arange(height) + 0.5) / count - height / 2
    off_x = across @ (np.arange(width) + 0.5) / count - width / 2
    empty = ~rows.any(axis=1)
    distance = np.hypot(off_y, off_x) / (np.hypot(height, width) / 2)
    return {
        "filled area": filled.mean(axis=(1, 2)),
        "height": _extent(rows) / height,
        "width": _extent(columns) / width,
        "distance from the centre": np.where(empty, 0.0, distance),
    }


def _extent(some: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """From the first to the last that is True, of each row; 0 where none is."""
    first, last = some.argmax(axis=1), some.shape[1] - some[:, ::-1].argmax(axis=1)
    return np.where(some.any(axis=1), last - first, 0)


def _correlation(one: Float32, other: Float32) -> npt.NDArray[Any]:
    """Of each image of two sets with its partner; 1 where an image is all of one brightness."""
    first, second = (side - side.mean(axis=(1, 2), keepdims=True) for side in (one, other))
    product = np.einsum("nij,nij->n", first, second)
    power = np.einsum("nij,nij->n", first, first)
    return np.where(power > 1e-9, product / np.maximum(power, 1e-9), 1.0)
