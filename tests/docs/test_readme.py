"""Everything that the README shows is run, and prints what it shows.

`make test` runs what a reader meets first: the first commands and the first Python. `make test-all` runs the rest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import README, filled
from tests.contracts.source import ROOT

TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def in_their_turn(language: str) -> list[Any]:
    """The blocks of a language; all but the first are slow."""
    return [
        pytest.param(block, marks=pytest.mark.slow if number else ()) for number, block in enumerate(blocks(language))
    ]


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is shown to print."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def form(text: str) -> str:
    """A text without what differs from run to run: figures, the width of columns, and where the run is."""
    text = re.sub(r"\S*\d{4}-\d\d-\d\d-", "DATE-", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"[\d.,]*\d", "N", text)).strip()


def run(arguments: list[str], folder: Path) -> str:
    environment = {
        **os.environ,
        "FITTINGROOM_RUNS_DIR": str(folder / "runs"),
        "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"),
    }
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", in_their_turn("console"))
def test_commands_print_what_is_shown(block: str, tmp_path: Path) -> None:
    for command, shown in commands(block):
        program, *arguments = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]
        assert program == "fittingroom"
        printed = run([sys.executable, "-m", "fittingroom", *arguments], tmp_path)
        assert printed.strip()
        if shown.strip():
            assert form(printed) == form(shown)


@pytest.mark.parametrize("block", in_their_turn("python"))
def test_python_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    printed = run([sys.executable, "-W", "error::UserWarning", "-c", block], tmp_path)
    assert re.search(r"test accuracy 0\.[89]\d", printed)


def test_make_run_runs_the_commands_that_the_next_block_shows() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(
        ["make", "--dry-run", "run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    shown = [command for command, _ in commands(blocks("console")[0])]
    assert [line.removeprefix(".venv/bin/") for line in planned.splitlines() if "bin/fittingroom" in line] == shown


def test_figures_are_those_that_were_measured_last() -> None:
    assert filled(TEXT) == TEXT
