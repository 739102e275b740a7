"""The README is short, its commands work in the order of the page, and its figures are those measured last."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.readme import README, SPEED_PAGE, filled
from docs.examples import blocks, commands
from tests.contracts.source import ROOT

TEXT = README.read_text(encoding="utf-8")


def test_readme_has_at_most_a_thousand_words() -> None:
    """All that `wc -w` counts: code, what it prints, tables and links too."""
    assert len(TEXT.split()) <= 1000


@pytest.mark.parametrize("path", [README, SPEED_PAGE], ids=lambda path: path.name)
def test_figures_are_those_that_were_measured_last(path: Path) -> None:
    assert filled(path) == path.read_text(encoding="utf-8")


def test_make_run_runs_the_commands_that_the_first_console_block_shows() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(
        ["make", "--dry-run", "run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    first = next(block for block in blocks(TEXT) if block.language == "console")
    shown = [command for command, _, _ in commands(first)]
    assert [line.removeprefix(".venv/bin/") for line in planned.splitlines() if "bin/fittingroom" in line] == shown


def page_as_script(environment: Path) -> str:
    """The commands of the page in its order, as a new user types them; the environment of one's own goes elsewhere."""
    lines = ["set -euo pipefail"]
    for block in blocks(TEXT):
        if block.language == "sh":
            lines += [line for line in block.text.splitlines() if not line.startswith("make test")]
        elif block.language == "console":
            lines += [command for command, _, _ in commands(block)]
        elif block.language == "python":
            lines += ["python - <<'END'", *block.text.splitlines(), "END"]
    return "\n".join(lines).replace("~/fittingroom-env", str(environment))


def test_every_command_of_the_first_screen_is_in_the_script_of_the_next_test() -> None:
    script = page_as_script(Path("/own"))
    order = [script.index(text) for text in ("make run", "activate", "pip install .", "fittingroom train", "fr.fit")]
    assert order == sorted(order)
    assert "make test" not in script  # that would be this test again


@pytest.mark.slow
def test_the_page_works_from_the_first_screen_on_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"MAKE|MFLAGS|VIRTUAL_ENV|PYTHON|FITTINGROOM_(RUNS|CACHE|LEDGER)|KERAS|JAX|XLA", name)
    }
    python = f"{Path(sys.executable).resolve().parent}{os.pathsep}{kept['PATH']}"
    environment = {**kept, "PATH": python, "XDG_CACHE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", page_as_script(tmp_path / "own")],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(re.findall(r"^accuracy  8[5-9]\.\d%", done.stdout, re.MULTILINE)) == 2  # make run's, and the page's own
    assert re.search(r"test accuracy 0\.8\d", done.stdout)
