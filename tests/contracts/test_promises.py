"""Each promise in docs/promises.md names the tests that prove it; they exist."""

from __future__ import annotations

import ast
import re

from tests.contracts.source import ROOT

TEXT = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|") and not re.match(r"\|( promise |-)", line)]


def named_tests(row: str) -> list[tuple[str, str]]:
    """The tests in a row of a table: file and name."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)


def test_there_are_promises() -> None:
    assert len(ROWS) > 10


def test_each_promise_names_tests_that_exist() -> None:
    known: dict[str, set[str]] = {}
    missing = []
    for row in ROWS:
        assert named_tests(row), row
        assert len(named_tests(row)) == row.count("::"), row
        for file, name in named_tests(row):
            if file not in known:
                tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
                known[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            if name not in known[file]:
                missing.append(f"{file}::{name}")
    assert missing == []
