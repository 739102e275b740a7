"""The experiments of each test in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_runs(runs_dir: Path) -> None:
    """Each test has runs and a ledger of its own."""
