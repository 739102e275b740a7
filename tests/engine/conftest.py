"""Small parts of real data, and a folder of runs for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.images import Images, digits_images, fashion_images


@pytest.fixture(autouse=True)
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of the test go."""
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def digits() -> Images:
    return digits_images()


@pytest.fixture(scope="session")
def fashion() -> Images:
    return fashion_images()
