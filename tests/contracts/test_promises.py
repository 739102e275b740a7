"""Each promise in docs/promises.md names the tests that prove it; they exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.contracts.source import ROOT

TEXT = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|") and not re.match(r"\|( promise |-)", line)]


def named_tests(row: str) -> list[tuple[str, str]]:
    """The tests in a row of a table: file and name."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)


def test_there_are_promises() -> None:
    assert len(ROWS) > 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_each_promise_names_tests_that_exist(row: str) -> None:
    assert named_tests(row)
    assert len(named_tests(row)) == row.count("::")
    for file, name in named_tests(row):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
