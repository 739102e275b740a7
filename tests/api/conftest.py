"""The runs of each test in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import fittingroom
from fittingroom.data.dataset import Dataset


@pytest.fixture(autouse=True)
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of the test go; its looks go into a ledger of its own."""
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def digits() -> Dataset:
    """A dataset whose sealed test set nothing has opened yet."""
    return fittingroom.load("digits")
