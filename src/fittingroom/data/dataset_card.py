"""What a notebook shows of a dataset: its counts, and a picture of its first images.

The plain facts of a dataset, for printing and for JSON.

A picture of a dataset: its first images of each class, in rows.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.atomic import write_atomically
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.data.values import Images

PER_CLASS = 12
MOST_CLASSES = 20


def dataset_card(dataset: Dataset) -> str:
    """HTML: name, number of images of each part and class, and the first training images of each class."""
    validation = dataset.validation
    counts = [("training", dataset.train.counts()), ("test, sealed", dataset.test.counts())]
    if validation is not None:
        counts.insert(1, ("validation", validation.counts()))
    size = " × ".join(map(str, dataset.image_shape))
    title = f"<b>{escape(dataset.name)}</b>, {size} pixels"
    return f"<div>{title}{_table(dataset.classes, counts)}{_picture(dataset.train)}</div>"


def part_card(part: Part) -> str:
    """HTML: the number of images of each class, and the first of them."""
    return f"<div>{len(part):,} images{_table(part.classes, [('images', part.counts())])}{_picture(part)}</div>"


def _table(classes: tuple[str, ...], counts: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """A row for each part, a column for each of the first classes."""
    shown = classes[:MOST_CLASSES]
    more = f"<th>and {len(classes) - len(shown)} more</th>" if len(classes) > len(shown) else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in shown)
    rows = "".join(f"<tr><th>{name}</th>{_cells([sum(found), *found[:MOST_CLASSES]])}</tr>" for name, found in counts)
    return f"<table><tr><th></th><th>all</th>{head}{more}</tr>{rows}</table>"


def _cells(numbers: Iterable[int]) -> str:
    return "".join(f"<td>{number:,}</td>" for number in numbers)


def _picture(part: Part) -> str:
    from PIL import Image

    if not len(part):
        return ""
    shown = min(len(part.classes), MOST_CLASSES)
    pixels = sprite(part, PER_CLASS)
    stream = io.BytesIO()
    rows = pixels[: pixels.shape[0] * shown // len(part.classes)]
    Image.fromarray(rows).save(stream, format="PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    alt = escape(f"The first {PER_CLASS} images of {', '.join(part.classes[:shown])}")
    return f'<img alt="{alt}" src="data:image/png;base64,{data}" style="max-width:100%">'


def describe(dataset: Dataset) -> dict[str, Any]:
    """Everything that can be said about a dataset without opening its test set, as JSON types.

    `counts` has for each part its `total` and the number of images `per_class`, in the order of `classes`; the parts
    are `train`, `validation` (None if there is none) and `test`.
    """
    info = dataset.info
    return {
        "name": dataset.name,
        "title": info.title,
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "scale": dataset.scale,
        "counts": {
            "train": _counts(dataset.train),
            "validation": _counts(dataset.validation) if dataset.validation is not None else None,
            "test": _counts(dataset.test),
        },
        "split_seed": dataset.split_seed,
        "source": dataset.source,
        "licence": info.licence,
        "homepage": info.homepage,
        "citation": info.citation,
        "checksums": {name: f"md5:{value}" for name, value in info.checksums.items()},
        "fingerprint": dataset.fingerprint,
        "test_fingerprint": dataset.test.fingerprint,
        "resize_rule": info.resize_rule,
        "notes": list(dataset.notes),
    }


def _counts(part: Part | SealedTestSet) -> dict[str, Any]:
    return {"total": len(part), "per_class": list(part.counts())}


_GAP = 2
_SMALLEST_CELL = 28


def write_sprite(part: Part, path: Path, per_class: int = 10) -> None:
    """Writes a PNG with one row for each class, in order, of its first images.

    Images smaller than 28 pixels are enlarged by a whole factor.

    Args:
        part: where the images are taken from.
        path: the file to write.
        per_class: images in a row.

    Raises:
        StorageError: the file cannot be written.
    """
    from PIL import Image

    picture = Image.fromarray(sprite(part, per_class))
    write_atomically(path, lambda stream: picture.save(stream, format="PNG"))


def sprite(part: Part, per_class: int) -> Images:
    """The pixels of the picture that `write_sprite` writes; white between the images and where a class has fewer."""
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
