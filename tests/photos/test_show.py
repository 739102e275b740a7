"""The picture of the steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fittingroom.photos.contact_sheet import MOST_ROWS, ContactSheet, ContactSheetRow
from fittingroom.photos.conversion import Conversion, ForegroundStyle, Style
from tests.photos.drawing import photo, training_images


def shown(title: str = "x.jpg") -> ContactSheetRow:
    style = Style((28, 28), ForegroundStyle.of(training_images().astype(np.float32)))
    return ContactSheetRow(title, Conversion.of(photo()[0], style).steps, {"Shirt": 0.75, "<b>Träger</b> 👕": 0.25})


def test_a_row_for_each_photo_up_to_a_limit() -> None:
    row = shown()
    one = ContactSheet([row]).drawn()
    assert ContactSheet([row] * 3).drawn().height == 3 * one.height
    assert ContactSheet([row] * (MOST_ROWS + 5)).drawn().height == MOST_ROWS * one.height


def test_it_is_written_as_png_whatever_the_names_are(tmp_path: Path) -> None:
    ContactSheet([shown("日本.jpg")]).write(tmp_path / "steps.png")
    with Image.open(tmp_path / "steps.png") as picture:
        assert picture.format == "PNG"


def test_larger_probability_has_the_longer_bar() -> None:
    pixels = np.asarray(ContactSheet([shown()]).drawn())
    blue = (pixels == (70, 110, 190)).all(axis=2).sum(axis=1)
    lengths = sorted(set(blue[blue > 0]), reverse=True)
    assert lengths[0] > 2.5 * lengths[1]
