"""Small parts of real data, and a folder of runs for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.images import Images, digits_images, fashion_images


@pytest.fixture(autouse=True)
def own_runs(runs_dir: Path) -> None:
    """Each test has runs and a ledger of its own."""


@pytest.fixture(scope="session")
def digits() -> Images:
    return digits_images()


@pytest.fixture(scope="session")
def fashion() -> Images:
    return fashion_images()
