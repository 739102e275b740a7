"""What is read off images and picture files without a model: whether anything shows, and how large pictures are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import PartName
from fittingroom.data.dataset import Part
from fittingroom.data.headers import picture_size

Floats = npt.NDArray[np.float64]

_BLOCK_BYTES = 8 * 2**20  # of images that are looked at together
_MOST_MEASURED = 5000
_MOST_BYTES = 256 * 2**20
_SAME_SHAPE = 0.02  # relative; a picture of another shape than the image has borders

Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""


@dataclass(frozen=True, eq=False)
class RawMeasures:
    """Measures of the images of a part, each `(n,)`.

    Args:
        brightness: mean of all pixels, 0 (black) to 1 (white); without the borders of pictures that were padded.
        contrast: standard deviation of the pixels, of the full range.
        flat: whether the image has one colour throughout.
        highest: the largest value, of the full range.
        black: the share of pixels that are black in all channels.
        white: the share that have the largest value in all channels.
    """

    brightness: Floats
    contrast: Floats
    flat: npt.NDArray[np.bool_]
    highest: Floats
    black: Floats
    white: Floats

    @classmethod
    def of(cls, part: Part, boxes: Sequence[tuple[Box, ...]], progress: Callable[[int, int], None]) -> RawMeasures:
        """Those of a part.

        Args:
            part: the images.
            boxes: where the picture may be in each image that has borders, as `picture_boxes` gives it; or nothing.
            progress: called with the number of images that are done, and of all.
        """
        each = max(_BLOCK_BYTES // max(int(np.prod(part.images.shape[1:])), 1), 1)
        rows = []
        for start in range(0, len(part), each):
            images = np.asarray(part.images[start : start + each])
            found = _of_block(images, part.scale)
            for place, several in enumerate(boxes[start : start + len(images)]):
                box = next((one for one in several if _is_all_in(one, images[place])), None)
                if box is not None:
                    top, bottom, left, right = box
                    found[:, place] = _of_block(images[place : place + 1, top:bottom, left:right], part.scale)[:, 0]
            rows.append(found)
            progress(start + len(images), len(part))
        brightness, contrast, flat, highest, black, white = np.concatenate(rows, axis=1) if rows else np.empty((6, 0))
        return cls(brightness, contrast, flat > 0, highest, black, white)


@dataclass(frozen=True, eq=False)
class MeasuredPart:
    """A part, with what was measured of it.

    Args:
        name: of the part.
        part: its images.
        measures: of its images.
        sizes: of its picture files, as `picture_sizes` gives them; without rows where images have no files.
        properties: of its images, or of some spread over it, as `image_properties` gives them.
    """

    name: PartName
    part: Part
    measures: RawMeasures
    sizes: npt.NDArray[np.int64]
    properties: Mapping[str, Floats]

    @property
    def called(self) -> str:
        """Its name in sentences."""
        return "training" if self.name == "train" else self.name


def some_of(part: Part) -> Part:
    """Images spread over a part, as many as properties are measured of: 5,000, or as many as take 256 MB."""
    size = max(int(np.prod(part.images.shape[1:])), 1)
    most = max(min(_MOST_MEASURED, _MOST_BYTES // size), 1)
    if len(part) <= most:
        return part
    rows = np.linspace(0, len(part) - 1, most).astype(np.int64)
    files = tuple(part.files[row] for row in rows.tolist()) if part.files else ()
    return Part(np.asarray(part.images[rows]), part.labels[rows], part.classes, part.scale, files)


def picture_sizes(folder: Path, files: Sequence[str], progress: Callable[[int, int], None]) -> npt.NDArray[np.int64]:
    """Height and width that each picture file declares, and its bytes, `(n, 3)`; 0 where it cannot be read.

    Args:
        folder: that the files are in.
        files: their paths there.
        progress: called with the number of files that are done, and of all.
    """
    found = np.zeros((len(files), 3), np.int64)
    for place, name in enumerate(files):
        path = folder / name
        try:
            found[place] = (*(picture_size(path) or (0, 0)), path.stat().st_size)
        except (OSError, ValueError):
            continue
        if place % 500 == 0:
            progress(place, len(files))
    return found


def picture_boxes(sizes: npt.NDArray[np.int64], height: int, width: int) -> Iterator[tuple[Box, ...]]:
    """Where each picture may be in an image that it was padded to: as its file says, and turned; none if it fills it.

    Args:
        sizes: `(n, 3)`, as `picture_sizes` gives them.
        height: of the images.
        width: of the images.
    """
    for sides in sizes[:, :2].tolist():
        known = min(sides) > 0 and abs(sides[0] * width / (sides[1] * height) - 1) >= _SAME_SHAPE
        yield tuple(_padded(tall, wide, height, width) for tall, wide in (sides, sides[::-1])) if known else ()


def _padded(tall: int, wide: int, height: int, width: int) -> Box:
    """Where a picture of `tall` x `wide` pixels is in an image, as `data.resizing.fitted` puts it there."""
    factor = min(height / tall, width / wide)
    inner = max(round(tall * factor), 1), max(round(wide * factor), 1)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return top, top + inner[0], left, left + inner[1]


def _is_all_in(box: Box, image: npt.NDArray[np.uint8]) -> bool:
    """Whether all is black around a box; it is not where the picture was turned as the camera noted."""
    top, bottom, left, right = box
    return not (image[:top].any() or image[bottom:].any() or image[:, :left].any() or image[:, right:].any())


def _of_block(images: npt.NDArray[np.uint8], scale: float) -> Floats:
    """The measures of some images, `(6, n)`."""
    count = len(images)
    pixels = images.reshape(count, -1, images.shape[3] if images.ndim == 4 else 1)
    grey = pixels.astype(np.float32).mean(axis=2) / np.float32(scale)
    return np.stack(
        [
            grey.mean(axis=1),
            grey.std(axis=1),
            (pixels == pixels[:, :1]).all(axis=(1, 2)),
            pixels.max(axis=(1, 2)) / scale,
            (pixels == 0).all(axis=2).mean(axis=1),
            (pixels >= scale).all(axis=2).mean(axis=1),
        ]
    ).astype(np.float64)
