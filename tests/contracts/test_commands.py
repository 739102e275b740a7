"""The commands that the project promises exist: in `make help`, in the README and in CONTRIBUTING.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source import ROOT

PROMISED = {"run", "test", "test-all", "lint", "docs", "coverage", "bench", "bench-exercise", "clean", "help"}


def output_of(*command: str) -> str:
    """What a command prints; `make` is not told about a `make` that runs the tests."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def make_targets() -> list[str]:
    return re.findall(r"^  make (\S+) +\S", output_of("make", "help"), flags=re.MULTILINE)


def code_in(page: str) -> str:
    """The fenced blocks of a Markdown page that are for a shell."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


def test_make_help_lists_the_promised_commands() -> None:
    assert set(make_targets()) >= PROMISED


def test_make_alone_prints_the_help() -> None:
    assert output_of("make") == output_of("make", "help")


@pytest.mark.parametrize("target", make_targets())
def test_make_knows_how_to_do_what_it_lists(target: str) -> None:
    assert output_of("make", "--dry-run", target)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_page_names_only_make_targets_that_exist(page: str) -> None:
    named = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", code_in(page), flags=re.MULTILINE))
    assert {"run", "test"} <= named if page == "README.md" else "test" in named
    assert named <= set(make_targets())


def test_readme_names_only_subcommands_that_exist() -> None:
    start = "from fittingroom.cli.main import main; import sys; sys.exit(main())"
    known = set(re.findall(r"[a-z]+", output_of(sys.executable, "-c", start, "--help")))
    named = set(re.findall(r"^(?:\$ )?(?:\S*/)?fittingroom ([a-z]+)", code_in("README.md"), flags=re.MULTILINE))
    assert {"train", "evaluate"} <= named
    assert named <= known


def test_ci_runs_what_a_contributor_runs_with_the_oldest_and_the_newest_python() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line.strip() for line in lines if line.strip().startswith("make")] == [
        "make lint",
        'make run test-quick PYTHON="$newest" VENV=.venv-newest',
        "make test",
    ]
    oldest, *_, newest = 2 * output_of("scripts/pythons").split()
    versions = [output_of(python, "-c", "import sys; print(sys.version_info[1])") for python in (oldest, newest)]
    assert 11 <= int(versions[0]) <= sys.version_info[1] <= int(versions[1])
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_scripts_are_executable() -> None:
    assert all(os.access(path, os.X_OK) for path in Path(ROOT, "scripts").iterdir())


def test_pre_commit_runs_what_make_lint_runs() -> None:
    hooks = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    planned = [line for line in output_of("make", "--dry-run", "lint").splitlines() if " -m " in line]
    assert hooks == planned
