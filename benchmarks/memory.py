"""Memory of `fit` on arrays, beside the data: `fr.fit` against `model.fit`, each as a process of its own.

Usage: python -m benchmarks.memory [ROUNDS]

The course's model and 60,000 images, two epochs. What counts is the peak of resident memory during the call, minus what
was resident when it began: data, model and imports. Programs are compiled by both sides in each round, but for the
column "again", where Fitting Room finds those of an earlier process in its cache, as it does in all processes but the
first. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.memory_script import WORKS
from benchmarks.pairs import Spread, markdown_table
from benchmarks.sides import OURS, PEERS, ROOT, all_versions, program_environment

ROUNDS = 3
SIDES = {
    "keras": PEERS["keras-jax"].title,
    "fittingroom": OURS,
    "fittingroom-without-a-folder": f"{OURS}, out=False",
}


def taken(side: str, work: str, folder: Path) -> float:
    """MiB that one call of `fit` took beside the data, in a new process."""
    own = {"KERAS_BACKEND": "jax"} if side == "keras" else program_environment(folder)
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory_script", side, work],
        cwd=folder,
        env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(json.loads(found.stdout.splitlines()[-1])["taken"])


def main() -> None:
    """Measures, prints the tables and keeps them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    bars, first = [], [("MiB in the first process, which compiles", *SIDES.values())]
    for work, title in WORKS.items():
        measured: dict[str, list[float]] = {name: [] for name in SIDES}
        compiling: dict[str, list[float]] = {name: [] for name in SIDES}
        for number in range(rounds):
            for name in SIDES:
                with tempfile.TemporaryDirectory() as place:
                    compiling[name].append(taken(name, work, Path(place)))
                    measured[name].append(compiling[name][-1] if name == "keras" else taken(name, work, Path(place)))
            print(f"  {work}, round {number + 1} of {rounds}", file=sys.stderr)
        first.append((title, *(Spread.of(found).text(" MiB", 0) for found in compiling.values())))
        for name in ("fittingroom", "fittingroom-without-a-folder"):
            note = "" if name == "fittingroom" else ", out=False"
            bars.append(
                Bar(
                    f"memory of fit beside the data: {title}{note}",
                    SIDES["keras"],
                    measured[name],
                    measured["keras"],
                    unit=" MiB",
                    digits=0,
                    ratio="ours / theirs",
                    reading="as much",
                )
            )
    print(markdown_table(first))
    keep("memory", bars, {"versions": all_versions(PEERS["keras-jax"])})


if __name__ == "__main__":
    main()
