"""Files stay short enough to read in one sitting."""

from __future__ import annotations

from tests.contracts.source import PACKAGE, source_files

MOST_LINES = 400


def test_every_source_file_is_readable_in_one_sitting() -> None:
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()
    }
    assert len(lines) > 100
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}, "split them by idea"
