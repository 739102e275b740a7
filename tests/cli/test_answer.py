from __future__ import annotations

from fittingroom.cli.answer import nats, number, percent, percent_range, printable, table


def test_columns_are_aligned_texts_left_and_numbers_right() -> None:
    lines = table(("class", "n"), [("Shirt", "1,000"), ("größe", "7")]).splitlines()
    assert lines == ["class      n", "Shirt  1,000", "größe      7"]


def test_no_line_ends_with_spaces() -> None:
    assert table(("a", "b"), [("x", "")], left=2) == "a  b\nx"


def test_numbers_have_one_form() -> None:
    assert (percent(0.87854), percent_range((0.87, 0.888)), nats(0.33519), number(55000)) == (
        "87.9%",
        "87.0–88.8%",
        "0.3352",
        "55,000",
    )
    assert percent(None) == percent_range(None) == nats(None) == number(None) == "-"


def test_what_would_move_the_cursor_or_turn_the_letters_is_not_printed() -> None:
    assert printable("a\x1b[2J\x9b\r\u202eb\tc\n") == "a\ufffd[2J\ufffd\ufffd\ufffdb\tc\n"
    assert printable("größe 👩‍👧 ×") == "größe 👩‍👧 ×"
