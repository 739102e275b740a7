"""The labs of each test in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Written = Callable[[str], Path]

TEXTS = 'title = "Sizes"\nquestion = "Which size?"\nexplanation = "Because."\nnext = "Go on."\n'
PICTURE = '\n[picture]\nkind = "accuracy"\n'
EXPERIMENT = '\n[[experiment]]\ndataset = "digits"\nseeds = 2\nset.epochs = 1\nvary.hidden = [4, 16]\n'
CLAIM = (
    '\n[[claim]]\nsays = "16 are better than 4."\nmeasure = "accuracy"\narm = "hidden=16"\nthan = "hidden=4"\n'
    'expected = "higher"\n'
)
WHOLE = TEXTS + PICTURE + EXPERIMENT + CLAIM


@pytest.fixture(autouse=True)
def own_runs(runs_dir: Path) -> None:
    """Each test has runs and a ledger of its own."""


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a lab's file."""

    def write(text: str) -> Path:
        path = tmp_path / "07-sizes.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
