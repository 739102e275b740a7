"""What cannot be what it is in Keras is refused before training, and the page of parity says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import parity
from tests.engine.refusals import REFUSALS, Refusal
from tests.engine.zoo import CASES

pytestmark = pytest.mark.usefixtures("quick_compiler")

PAGE = parity.PAGE.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # Keras's own word on one of the cases
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.what)
def test_it_is_refused_by_name_before_training(refusal: Refusal, runs_dir: Path) -> None:
    message = refusal.message()
    assert refusal.words in message
    assert not runs_dir.exists()
    assert f"| {refusal.what} | {message} |" in PAGE, "the page is stale: python -m benchmarks.parity"


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a title of the page."""
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_lists_exactly_the_cases_of_the_zoo_and_what_was_measured() -> None:
    table: Any = {row[0]: row[1:] for row in rows("What holds")}
    assert list(table) == [case.name for case in CASES]
    for case in CASES:
        what, *numbers = table[case.name]
        assert what.startswith(case.what)
        assert len(numbers) == 6
        assert all(re.fullmatch(r"0|\de[+-]\d\d", number) for number in numbers), case.name


def test_the_page_lists_exactly_the_refusals() -> None:
    assert [row[0] for row in rows("What is refused")] == [refusal.what for refusal in REFUSALS]
