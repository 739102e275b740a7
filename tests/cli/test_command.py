from __future__ import annotations

from fittingroom.cli.command import printable, table


def test_columns_are_aligned_texts_left_and_numbers_right() -> None:
    lines = table(("class", "n"), [("Shirt", "1,000"), ("größe", "7")]).splitlines()
    assert lines == ["class      n", "Shirt  1,000", "größe      7"]


def test_no_line_ends_with_spaces() -> None:
    assert table(("a", "b"), [("x", "")], left=2) == "a  b\nx"


def test_what_would_move_the_cursor_or_turn_the_letters_is_not_printed() -> None:
    assert printable("a\x1b[2J\x9b\r\u202eb\tc\n") == "a\ufffd[2J\ufffd\ufffd\ufffdb\tc\n"
    assert printable("größe 👩‍👧 ×") == "größe 👩‍👧 ×"
