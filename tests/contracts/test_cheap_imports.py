"""`import fittingroom` and `fittingroom --help` answer at once, so they must not load the heavy packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"arro3", "fastapi", "jax", "keras", "numpy", "optuna", "PIL", "pooch", "ray", "scipy", "sklearn", "uvicorn"}


def heavy_modules_after(statement: str) -> set[str]:
    """The heavy packages that a new interpreter has loaded after `statement`."""
    code = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return HEAVY & set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["fittingroom", "fittingroom.errors", "fittingroom.seeds", "fittingroom.cli.main"])
def test_importing_loads_no_heavy_package(module: str) -> None:
    assert heavy_modules_after(f"import {module}") == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([command, "--help"] for command in ("train", "evaluate", "experiment", "search", "serve"))],
    ids=" ".join,
)
def test_help_loads_no_heavy_package(arguments: list[str]) -> None:
    start = f"sys.argv = {['fittingroom', *arguments]!r}\nfrom fittingroom.cli.main import main\nsys.exit(main())"
    assert heavy_modules_after(start) == set()


def test_the_check_sees_a_heavy_package() -> None:
    assert heavy_modules_after("import numpy") == {"numpy"}
