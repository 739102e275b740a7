"""What the pages show is run: every Python block, every console command, and their figures are compared.

`make test` runs the README, `make test-all` every page of the site too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.examples import ROOT, blocks, commands, difference, pages, run_page, words
from docs.generate import command_parsers
from fittingroom.errors import InputError

QUICK = ("README.md",)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "name", [pytest.param(named(path), marks=() if named(path) in QUICK else pytest.mark.slow) for path in pages()]
)
def test_a_page_runs_in_its_order_and_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    for output in run_page((ROOT / name).read_text(encoding="utf-8"), tmp_path):
        assert output.printed.strip() or output.shown == ""
        if output.shown.strip():
            assert difference(output.shown, output.printed) == "", output.code


def shell_commands() -> Iterator[tuple[str, str]]:
    """Every `fittingroom` command that any page shows, with the page."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for block in blocks(path.read_text(encoding="utf-8")):
            lines = block.text.splitlines() if block.language == "sh" else [one for one, _, _ in commands(block)]
            yield from ((named(path), line) for line in lines if line.startswith("fittingroom "))


def test_every_command_of_every_page_is_one_that_the_parser_takes() -> None:
    parsers, wrong = command_parsers(), []
    for page, line in shell_commands():
        _, command, *arguments = words(line.partition(" #")[0])
        try:
            parsers[command].parse_args(arguments)
        except (KeyError, InputError) as error:
            wrong.append(f"{page}: {line}: {error}")
    assert wrong == []


def test_figures_are_compared_and_not_erased() -> None:
    shown = "accuracy  87.2% (95% interval 86.5–87.8%): 8,719 of 10,000 images\nRun: runs/2026-11-22-digits-course-1"
    assert difference(shown, shown.replace("87.2", "88.0").replace("8,719", "8,800").replace("-22-", "-23-")) == ""
    assert "87.2 and 12.0" in difference(shown, shown.replace("87.2", "12.0"))
    assert "8,719 and 1,719" in difference(shown, shown.replace("8,719", "1,719"))
    assert "right" in difference(shown, shown.replace("images", "right images"))
    assert difference("loss 0.3484 nats, epoch 3", "loss 0.36 nats, epoch 3") == ""
    assert difference("loss 0.3484 nats, epoch 3", "loss 0.3484 nats, epoch 4") != ""
    assert (
        difference("1.8 s: set-up 0.1, compiling 0.1, training 1.6", "9.9 s: set-up 3.0, compiling 6, training 1") == ""
    )


def test_pages_have_no_prompt_outside_of_console_blocks() -> None:
    for path in pages():
        for block in blocks(path.read_text(encoding="utf-8")):
            assert block.language == "console" or not re.search(r"^\$ ", block.text, re.MULTILINE), named(path)
