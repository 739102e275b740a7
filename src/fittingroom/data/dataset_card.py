"""A picture of a dataset, its first images of each class in rows, and what a notebook shows of one."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Protocol

import numpy as np

from fittingroom.atomic import write_bytes
from fittingroom.data.values import Images, Labels

_PER_CLASS = 12
_MOST_CLASSES = 20
_GAP = 2  # pixels
_SMALLEST_CELL = 28  # pixels


class _LabelledImages(Protocol):
    """What a picture is drawn of; `dataset.Part` is the one such class. See there for the attributes."""

    @property
    def images(self) -> Images: ...

    @property
    def labels(self) -> Labels: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def scale(self) -> float: ...


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset looks like.

    Args:
        shown: the part whose first images are shown.
    """

    shown: _LabelledImages

    def html(self, title: str, counts: Mapping[str, Sequence[int]]) -> str:
        """HTML for a notebook: a title, the images of each part and class counted, and the first images of each class.

        Args:
            title: HTML.
            counts: for the name of each part, its number of images of each class.
        """
        return f"<div>{title}{_table(self.shown.classes, counts)}{_image(self.shown)}</div>"

    def write_sprite(self, path: Path, per_class: int = 10) -> None:
        """Writes a PNG with one row for each class, in order, of its first images.

        Images smaller than 28 pixels are enlarged by a whole factor.

        Args:
            path: the file to write.
            per_class: images in a row.

        Raises:
            StorageError: the file cannot be written.
        """
        write_bytes(path, _png(_sprite(self.shown, per_class)))


def _table(classes: tuple[str, ...], counts: Mapping[str, Sequence[int]]) -> str:
    """A row for each part, a column for each of the first classes."""
    first = classes[:_MOST_CLASSES]
    more = f"<th>and {len(classes) - len(first)} more</th>" if len(classes) > len(first) else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in first)
    rows = "".join(
        f"<tr><th>{name}</th>{_cells([sum(each), *each[:_MOST_CLASSES]])}</tr>" for name, each in counts.items()
    )
    return f"<table><tr><th></th><th>all</th>{head}{more}</tr>{rows}</table>"


def _cells(numbers: Iterable[int]) -> str:
    return "".join(f"<td>{number:,}</td>" for number in numbers)


def _image(shown: _LabelledImages) -> str:
    if not len(shown.labels):
        return ""
    first = shown.classes[:_MOST_CLASSES]
    pixels = _sprite(shown, _PER_CLASS)
    rows = pixels[: pixels.shape[0] * len(first) // len(shown.classes)]
    data = base64.b64encode(_png(rows)).decode()
    alt = escape(f"The first {_PER_CLASS} images of {', '.join(first)}")
    return f'<img alt="{alt}" src="data:image/png;base64,{data}" style="max-width:100%">'


def _png(pixels: Images) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def _sprite(part: _LabelledImages, per_class: int) -> Images:
    """The pixels of the picture; white between the images and where a class has fewer."""
    height, width, *channels = part.images.shape[1:]
    enlarged = max(-(-_SMALLEST_CELL // min(height, width)), 1)
    high, wide = height * enlarged + _GAP, width * enlarged + _GAP
    canvas = np.full((high * len(part.classes) + _GAP, wide * per_class + _GAP, *channels), 255, np.uint8)
    for row in range(len(part.classes)):
        for column, index in enumerate(np.flatnonzero(part.labels == row)[:per_class]):
            image = np.rint(part.images[index] * (255 / part.scale)).astype(np.uint8)
            image = image.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
            top, left = row * high + _GAP, column * wide + _GAP
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
