"""Photos and what the model sees of them, in a terminal: each character shows two pixels, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.photos.conversion import Pixels
from fittingroom.photos.show import Shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
