"""Files stay short enough to read in one sitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.source import PACKAGE, source_files

MOST_LINES = 400


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_source_file_is_readable_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{path} has {lines} lines: split it by idea"
