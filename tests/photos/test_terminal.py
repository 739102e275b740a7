"""What a terminal shows of photos."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from fittingroom.data.model_inputs import ConversionStep
from fittingroom.photos.contact_sheet import MOST_IN_TERMINAL, ContactSheet, ContactSheetRow, _in_blocks


def shown(title: str = "a.jpg") -> ContactSheetRow:
    photo, seen = np.full((60, 40, 3), (255, 0, 0), np.uint8), np.full((8, 8), 7, np.uint8)
    return ContactSheetRow(title, (ConversionStep("photo", "", photo), ConversionStep("size", "", seen)), {"a": 1.0})


def printed(rows: list[ContactSheetRow], width: int = 80, **named: object) -> tuple[bool, str]:
    stream = io.StringIO()
    done = ContactSheet(rows).print(Console(file=stream, width=width, **named))  # type: ignore[arg-type]
    return done, stream.getvalue()


def test_a_character_shows_two_pixels_above_each_other() -> None:
    picture = np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]], np.uint8)
    text = _in_blocks(picture)
    assert text.plain == "▀\n▀\n"
    styles = [span.style for span in text.spans]
    assert [str(style) for style in styles] == ["#010203 on #040506", "#070809 on #000000"]


def test_the_photo_and_what_the_model_sees_are_side_by_side() -> None:
    done, text = printed([shown()], force_terminal=True, color_system="truecolor")
    assert done
    assert "a.jpg" in text
    assert "38;2;255;0;0" in text
    assert "38;2;7;7;7" in text
    assert text.count("▀") == 14 * (28 + 2 + 8)


def test_only_the_first_photos_are_shown() -> None:
    rows = [shown(f"{number}.jpg") for number in range(5)]
    _, text = printed(rows, force_terminal=True, color_system="truecolor")
    assert sum(row.title in text for row in rows) == MOST_IN_TERMINAL


def test_nothing_is_printed_where_it_could_not_be_seen() -> None:
    assert printed([shown()]) == (False, "")
    assert printed([shown()], force_terminal=True, color_system="standard") == (False, "")
    assert printed([shown()], width=20, force_terminal=True, color_system="truecolor") == (False, "")


def test_a_title_is_shown_as_it_is() -> None:
    assert "[red]x[/red].jpg" in printed([shown("[red]x[/red].jpg")], force_terminal=True, color_system="truecolor")[1]
