"""How long a whole process takes that answers: evaluate, explain, report, the first photo of a run and later ones.

Usage: python -m benchmarks.answer_times PHOTO [--recipes course,cnn] [--rounds 5]

Each recipe is trained for one epoch in a folder of its own, and its run is copied before each first time, so that
nothing is fitted or scored yet. Rounds alternate with a process that only imports NumPy, the least that any of them
could take. Medians of seconds, and of seconds of core time, which other programs on the machine change less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pairs import markdown_table


def seconds(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and seconds of core time, of a process."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    cores = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cores


def rows(recipe: str, photo: str, rounds: int, folder: Path) -> list[tuple[str, ...]]:
    """A row for each command."""
    environment = {**os.environ, "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite")}
    program = [sys.executable, "-m", "fittingroom"]
    trained, run = folder / recipe, folder / "run"
    seconds([*program, "train", "--recipe", recipe, "--epochs", "1", "--out", str(trained)], environment)
    commands = {
        "import numpy": [sys.executable, "-c", "import numpy"],
        "evaluate": [*program, "evaluate", str(run)],
        "explain": [*program, "explain", str(run)],
        "report": [*program, "report", str(run)],
        "predict, first photo": [*program, "predict", str(run), photo],
        "predict, later": [*program, "predict", str(run), photo],
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(trained, run)
        for name, command in commands.items():
            measured[name].append(seconds(command, environment))
    medians = {name: [statistics.median(part) for part in zip(*pairs, strict=True)] for name, pairs in measured.items()}
    return [(recipe, name, f"{whole:.2f}", f"{cores:.2f}") for name, (whole, cores) in medians.items()]


def main(arguments: Sequence[str]) -> int:
    """Prints a row for each recipe and command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photo")
    parser.add_argument("--recipes", default="course,cnn")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        found = [
            row
            for recipe in chosen.recipes.split(",")
            for row in rows(recipe, chosen.photo, chosen.rounds, Path(place))
        ]
    print(markdown_table([("recipe", "process", "seconds", "core seconds"), *found]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
