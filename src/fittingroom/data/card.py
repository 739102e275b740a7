"""What a notebook shows of a dataset: its counts, and a picture of its first images."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from fittingroom.data.sprite import sprite

if TYPE_CHECKING:
    from fittingroom.data.dataset import Dataset, Part

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
