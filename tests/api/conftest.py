"""The runs of each test in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import fittingroom
from fittingroom.data.dataset import Dataset


@pytest.fixture(autouse=True)
def own_runs(runs_dir: Path) -> None:
    """Each test has runs and a ledger of its own."""


@pytest.fixture
def digits() -> Dataset:
    """A dataset whose sealed test set nothing has opened yet."""
    return fittingroom.load("digits")
