"""A picture of what happened to photos: a row for each, with its steps and the model's probabilities.

Photos and what the model sees of them, in a terminal: each character shows two pixels, one above the other.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.atomic import write_bytes
from fittingroom.photos.conversion import Conversion, Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
    from rich.console import Console
    from rich.text import Text

MOST_ROWS = 50

_CELL = 150  # pixels, the side of a step's picture
_GAP = 12
_LINE = 15  # pixels, the height of a line of text
_BARS = 250
_INK, _PAPER, _BAR = (20, 20, 24), (250, 250, 248), (70, 110, 190)


@dataclass(frozen=True, eq=False)
class Shown:
    """A photo, what was made of it, and what the model says.

    Args:
        title: stands above the row, such as the file's name.
        conversion: the photo's way to the model.
        probabilities: by class name, in order.
    """

    title: str
    conversion: Conversion
    probabilities: dict[str, float]


def write_shown(path: Path, rows: Sequence[Shown]) -> None:
    """Writes the rows as a PNG file.

    Raises:
        StorageError: the file cannot be written.
    """
    stream = io.BytesIO()
    drawn(rows).save(stream, "PNG")
    write_bytes(path, stream.getvalue())


def drawn(rows: Sequence[Shown]) -> Image.Image:
    """The rows below each other, `MOST_ROWS` at most."""
    from PIL import Image

    pictures = [_row(row) for row in rows[:MOST_ROWS]]
    whole = Image.new("RGB", (max(row.width for row in pictures), sum(row.height for row in pictures)), _PAPER)
    top = 0
    for row in pictures:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def _row(row: Shown) -> Image.Image:
    from PIL import Image, ImageDraw

    steps = row.conversion.steps
    bars_height = (len(row.probabilities) + 1) * _LINE
    height = _LINE * 3 + max(_CELL, bars_height) + 2 * _GAP
    bars = _GAP + len(steps) * (_CELL + _GAP)
    picture = Image.new("RGB", (bars + _BARS + _GAP, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, _GAP // 2), _plain(row.title), _INK)
    for number, step in enumerate(steps):
        left, top = _GAP + number * (_CELL + _GAP), _GAP + _LINE
        draw.text((left, top), _plain(f"{number + 1} {step.name}"), _INK)
        picture.paste(_cell(step.picture), (left, top + _LINE))
    _draw_bars(draw, bars, _GAP + 2 * _LINE, row.probabilities)
    return picture


def _cell(pixels: Pixels) -> Image.Image:
    """A step's picture as large as its cell allows; the pixels of small ones stay visible as squares."""
    from PIL import Image

    picture = Image.fromarray(pixels).convert("RGB")
    ratio = _CELL / max(picture.size)
    size = max(round(picture.width * ratio), 1), max(round(picture.height * ratio), 1)
    return picture.resize(size, Image.Resampling.BOX if ratio < 1 else Image.Resampling.NEAREST)


def _draw_bars(draw: ImageDraw.ImageDraw, left: int, top: int, probabilities: dict[str, float]) -> None:
    """A line for each class: its name, a bar, and its probability in percent."""
    bar, longest = left + 90, _BARS - 90 - 45
    for number, (name, probability) in enumerate(probabilities.items()):
        y = top + number * _LINE
        draw.text((left, y), _plain(name)[:14], _INK)
        draw.rectangle((bar, y + 2, bar + round(probability * longest), y + _LINE - 4), _BAR)
        draw.text((bar + longest + 5, y), f"{100 * probability:.1f}%", _INK)


def _plain(text: str) -> str:
    """Text that Pillow's own small font has letters for."""
    return text.encode("latin-1", "replace").decode("latin-1")


MOST_SHOWN = 3

_SIDE = 28  # pixels, of the photo beside the model's input
_UPPER_HALF = "▀"


def show_in_terminal(console: Console, rows: Sequence[Shown]) -> bool:
    """Prints the first `MOST_SHOWN` photos, each with what the model sees of it to the right.

    Returns:
        Whether it was done: not where the output is no terminal, or has too few colours or columns.
    """
    if not console.is_terminal or console.color_system not in ("truecolor", "256"):
        return False
    shown = [(row.title, _beside(row)) for row in rows[:MOST_SHOWN]]
    if any(picture.shape[1] > console.width for _, picture in shown):
        return False
    for title, picture in shown:
        console.print(title, style="bold", markup=False, highlight=False)
        console.print(drawn_in_blocks(picture))
    return True


def drawn_in_blocks(picture: Pixels) -> Text:
    """An RGB picture `(height, width, 3)` as lines of coloured half blocks."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    text = Text()
    padded = np.concatenate([picture, np.zeros((len(picture) % 2, *picture.shape[1:]), np.uint8)])
    for upper, lower in zip(padded[::2], padded[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append(_UPPER_HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append("\n")
    return text


def _beside(row: Shown) -> Pixels:
    """The photo, made small, and the model's input."""
    from PIL import Image

    photo = Image.fromarray(row.conversion.steps[0].picture).convert("RGB")
    seen = np.asarray(Image.fromarray(row.conversion.image).convert("RGB"))
    photo.thumbnail((_SIDE, _SIDE))
    height, width = max(_SIDE, len(seen)), _SIDE + 2 + seen.shape[1]
    whole = np.zeros((height, width, 3), np.uint8)
    whole[: photo.height, : photo.width] = np.asarray(photo)
    whole[: len(seen), _SIDE + 2 :] = seen
    return whole
