from __future__ import annotations

import pytest

from benchmarks.readme import accuracy_table, between_markers, speed_table

MACHINE = {"processor": "a processor", "cores": 2, "date": "2026-01-02"}
BAR = {"work": "an epoch", "against": "Keras", "ours": [1.0], "theirs": [3.0]}


def test_speed_table_says_where_it_was_measured_once() -> None:
    table = speed_table([{"machine": MACHINE, "bars": [BAR]}, {"machine": MACHINE, "bars": [BAR]}])
    assert table.count("an epoch") == 2
    assert table.count("a processor, 2 cores, 2026-01-02.") == 1


def test_figures_of_two_machines_name_both() -> None:
    other = {**MACHINE, "processor": "another"}
    table = speed_table([{"machine": MACHINE, "bars": [BAR]}, {"machine": other, "bars": [BAR]}])
    assert "a processor, 2 cores, 2026-01-02; another, 2 cores, 2026-01-02." in table


def test_a_row_names_the_side_that_wins_it() -> None:
    slower = {**BAR, "work": "a call", "ours": [4.0]}
    heavier = {**BAR, "work": "memory", "ours": [4.0], "ratio": "ours / theirs", "reading": "the memory"}
    rows = speed_table([{"machine": MACHINE, "bars": [BAR, slower, heavier]}]).splitlines()
    assert [row.split("|")[1].strip() for row in rows if "Keras wins" in row] == ["a call", "memory"]


def test_nothing_measured_leaves_nothing_shown() -> None:
    assert speed_table([]) == ""
    assert accuracy_table([]) == ""


def test_accuracy_has_its_spread_and_the_number_of_seeds() -> None:
    table = accuracy_table([{"machine": MACHINE, "test_accuracy": {"Keras": [0.87, 0.88, 0.89]}}])
    assert [cell.strip() for cell in table.splitlines()[2].split("|")[1:-1]] == ["Keras", "88.00% ± 1.00", "3"]


def test_only_what_is_between_the_markers_changes() -> None:
    page = "before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n"
    assert between_markers(page, "speed", "new\n") == "before\n<!-- speed -->\nnew\n<!-- /speed -->\nafter\n"


def test_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        between_markers("a page\n", "speed", "new\n")
