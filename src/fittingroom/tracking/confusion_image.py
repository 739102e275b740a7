"""A picture of which classes a model takes for which, as a PNG, for programs that show pictures alone."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

_WHITE, _BLUE, _ORANGE = np.array([255, 255, 255]), np.array([31, 102, 168]), np.array([206, 92, 26])
_GREY, _DARK = (110, 110, 110), (30, 30, 30)
_MOST_NAMED = 40  # classes whose names stand beside the table; more would be too small to read
_LONGEST = 18


def confusion_picture(counts: npt.NDArray[np.int64], classes: tuple[str, ...]) -> bytes:
    """The confusions as a PNG: a row for each true class, a column for each predicted one.

    The shade of a cell is its share of the row: what is right is blue, and what is wrong orange.

    Args:
        counts: true class by predicted class, `(n, n)`.
        classes: their names.
    """
    from PIL import Image, ImageDraw, ImageFont

    count = len(classes)
    side = max(3, min(44, 900 // count))
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    named = count <= _MOST_NAMED and side >= 14
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in classes]
    margin = int(max(font.getlength(name) for name in names)) + 34 if named else 30
    image = Image.new("RGB", (margin + side * count + 12, margin + side * count + 12), "white")
    draw = ImageDraw.Draw(image)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(count):
        for column in range(count):
            left, top = margin + column * side, margin + row * side
            share = float(shares[row, column])
            colour = _WHITE + (_BLUE if row == column else _ORANGE) * share**0.5 - _WHITE * share**0.5
            draw.rectangle((left, top, left + side - 2, top + side - 2), fill=tuple(int(part) for part in colour))
            if side >= 26 and counts[row, column]:
                shade = "white" if share > 0.35 else _DARK
                text = str(counts[row, column])
                draw.text((left + side / 2 - 1, top + side / 2 - 1), text, fill=shade, font=small, anchor="mm")
    if named:
        for number, name in enumerate(names):
            middle = margin + number * side + side // 2
            draw.text((margin - 6, middle), name, fill=_DARK, font=font, anchor="rm")
            _upright(image, name, middle, margin - 6)
    draw.text((4, 2), "rows: true class", fill=_GREY, font=small)
    draw.text((4, 15), "columns: predicted class", fill=_GREY, font=small)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=False)
    return stream.getvalue()


def _upright(image: object, text: str, middle: int, bottom: int) -> None:
    """Writes a text upwards, so that it ends at `bottom`."""
    from PIL import Image, ImageDraw, ImageFont

    assert isinstance(image, Image.Image)
    font = ImageFont.load_default(13)
    length = int(font.getlength(text)) + 2
    strip = Image.new("RGB", (length, 18), "white")
    ImageDraw.Draw(strip).text((0, 9), text, fill=_DARK, font=font, anchor="lm")
    image.paste(strip.rotate(90, expand=True), (middle - 9, bottom - length))


def sprite(images: npt.NDArray[np.uint8], side: int) -> tuple[bytes, int]:
    """Images side by side in one square PNG, row by row from the top, and how many pixels each has on a side.

    Args:
        images: uint8 `(n, height, width)` or `(n, height, width, 3)`.
        side: at most so many pixels; others get borders, or are made smaller.
    """
    from PIL import Image

    largest = min(side, max(images.shape[1:3]))
    across = int(np.ceil(np.sqrt(len(images))))
    sheet = Image.new("RGB", (across * largest, across * largest), "black")
    for number, pixels in enumerate(images):
        one = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).convert("RGB")
        one.thumbnail((largest, largest))
        left, top = (number % across) * largest, (number // across) * largest
        sheet.paste(one, (left + (largest - one.width) // 2, top + (largest - one.height) // 2))
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue(), largest
