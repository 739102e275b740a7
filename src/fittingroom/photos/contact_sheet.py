"""`ContactSheet`: photos, the steps to the model's input and the probabilities, as a picture or in a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.atomic import write_bytes
from fittingroom.data.model_inputs import ConversionStep
from fittingroom.photos.conversion import Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
    from rich.console import Console
    from rich.text import Text

MOST_ROWS = 50
"""Photos that a picture shows."""

MOST_IN_TERMINAL = 3

_CELL = 150  # pixels, the side of a step's picture
_GAP = 12
_LINE = 15  # pixels, the height of a line of text
_NAMES, _BARS = 90, 160  # pixels, the width of the names of the classes, and of a column of probabilities
_INK, _PAPER, _BAR = (20, 20, 24), (250, 250, 248), (70, 110, 190)

_SIDE = 28  # pixels, of the photo beside the model's input in a terminal
_UPPER_HALF = "▀"  # each character shows two pixels, one above the other


@dataclass(frozen=True, eq=False)
class ContactSheetRow:
    """A photo, what was made of it, and what the model says.

    Args:
        title: stands above the row, such as the file's name.
        steps: from the photo to the model's input, each with its picture.
        probabilities: by class name, in order.
        opinions: whose probabilities these were made of, each with its own; empty where they are the run's alone.
        says: the answer in words, below the row.
    """

    title: str
    steps: Sequence[ConversionStep]
    probabilities: dict[str, float]
    opinions: Mapping[str, dict[str, float]] = field(default_factory=dict)
    says: str = ""

    @cached_property
    def pictures(self) -> list[Pixels]:
        """The pictures of the steps."""
        return [step.picture for step in self.steps if step.picture is not None]


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """Rows of photos, one below the other.

    Args:
        rows: at least one.
    """

    rows: Sequence[ContactSheetRow]

    def write(self, path: Path) -> None:
        """Writes the first `MOST_ROWS` as a PNG file.

        Raises:
            StorageError: the file cannot be written.
        """
        stream = io.BytesIO()
        self.drawn().save(stream, "PNG")
        write_bytes(path, stream.getvalue())

    def drawn(self) -> Image.Image:
        """The first `MOST_ROWS` as a picture."""
        from PIL import Image

        pictures = [_row(row) for row in self.rows[:MOST_ROWS]]
        whole = Image.new("RGB", (max(row.width for row in pictures), sum(row.height for row in pictures)), _PAPER)
        top = 0
        for row in pictures:
            whole.paste(row, (0, top))
            top += row.height
        return whole

    def print(self, console: Console) -> bool:
        """Prints the first `MOST_IN_TERMINAL` photos, each with what the model sees of it to the right.

        Returns:
            Whether it was done: not where the output is no terminal, or has too few colours or columns.
        """
        if not console.is_terminal or console.color_system not in ("truecolor", "256"):
            return False
        shown = [(row.title, _beside(row)) for row in self.rows[:MOST_IN_TERMINAL]]
        if any(picture.shape[1] > console.width for _, picture in shown):
            return False
        for title, picture in shown:
            console.print(title, style="bold", markup=False, highlight=False)
            console.print(_in_blocks(picture))
        return True


def _row(row: ContactSheetRow) -> Image.Image:
    from PIL import Image, ImageDraw

    columns = {**row.opinions, "together": row.probabilities} if row.opinions else {"": row.probabilities}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    height = _LINE * 3 + max(_CELL, (len(names) + 1) * _LINE) + 2 * _GAP
    bars = _GAP + len(row.steps) * (_CELL + _GAP)
    width = bars + _NAMES + len(columns) * _BARS + _GAP
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, _GAP // 2), _plain(row.title), _INK)
    for number, (step, pixels) in enumerate(zip(row.steps, row.pictures, strict=True)):
        left, top = _GAP + number * (_CELL + _GAP), _GAP + _LINE
        draw.text((left, top), _plain(f"{number + 1} {step.name}"), _INK)
        picture.paste(_cell(pixels), (left, top + _LINE))
    for number, name in enumerate(names):
        draw.text((bars, _GAP + (2 + number) * _LINE), _plain(name)[:14], _INK)
    for number, (title, column) in enumerate(columns.items()):
        left = bars + _NAMES + number * _BARS
        draw.text((left, _GAP + _LINE), _plain(title), _INK)
        _draw_bars(draw, left, _GAP + 2 * _LINE, [column.get(name) for name in names])
    draw.text((_GAP, height - _LINE - _GAP // 2), _plain(row.says), _INK)
    return picture


def _cell(pixels: Pixels) -> Image.Image:
    """A step's picture as large as its cell allows; the pixels of small ones stay visible as squares."""
    from PIL import Image

    picture = Image.fromarray(pixels).convert("RGB")
    ratio = _CELL / max(picture.size)
    size = max(round(picture.width * ratio), 1), max(round(picture.height * ratio), 1)
    return picture.resize(size, Image.Resampling.BOX if ratio < 1 else Image.Resampling.NEAREST)


def _draw_bars(draw: ImageDraw.ImageDraw, left: int, top: int, probabilities: Sequence[float | None]) -> None:
    """A line for each class: a bar, and its probability in percent; nothing where there is none."""
    longest = _BARS - 45
    for number, probability in enumerate(probabilities):
        if probability is not None:
            y = top + number * _LINE
            draw.rectangle((left, y + 2, left + round(probability * longest), y + _LINE - 4), _BAR)
            draw.text((left + longest + 5, y), f"{100 * probability:.1f}%", _INK)


def _plain(text: str) -> str:
    """Text that Pillow's own small font has letters for."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _in_blocks(picture: Pixels) -> Text:
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


def _beside(row: ContactSheetRow) -> Pixels:
    """The photo, made small, and the model's input."""
    from PIL import Image

    photo = Image.fromarray(row.pictures[0]).convert("RGB")
    seen = np.asarray(Image.fromarray(row.pictures[-1]).convert("RGB"))
    photo.thumbnail((_SIDE, _SIDE))
    height, width = max(_SIDE, len(seen)), _SIDE + 2 + seen.shape[1]
    whole = np.zeros((height, width, 3), np.uint8)
    whole[: photo.height, : photo.width] = np.asarray(photo)
    whole[: len(seen), _SIDE + 2 :] = seen
    return whole
