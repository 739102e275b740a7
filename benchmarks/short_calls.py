"""Short calls, callbacks that watch batches, iterables of batches: `fr.fit` against `model.fit`.

Usage: python -m benchmarks.short_calls [ROUNDS]

Each side is one process that stays, as a notebook's does, on the course's model and 6,400 images, batch 32. The sides
take turns, round by round. The first call of each, which compiles, is shown apart and does not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.pairs import Spread, markdown_table
from benchmarks.sides import OURS, PEERS, ROOT, all_versions, fashion_mnist, program_environment

ROUNDS = 5
WORKS = {
    "calls": "ten calls of one epoch each",
    "callback": "three epochs with a callback that watches batches",
    "iterable": "three epochs from a PyDataset",
    "small calls": "ten calls of one epoch each, 640 images",
    "rates": "three epochs with two callbacks, one of which reads the learning rate after each batch",
    "tiny": "three epochs of 1,600 images in batches of 4, watched",
    "large": "three epochs of 1,600 images through 2,048 hidden units, watched",
    "loader": "three epochs from a loader of batches (in Keras, the PyDataset)",
    "generator": "three epochs from a generator",
    "validation": "three epochs from a PyDataset, validated on one",
    "executions": "three epochs from a PyDataset, steps_per_execution=8, watched",
}
SIDES = {
    "keras": PEERS["keras-jax"].title,
    "fittingroom": OURS,
    "fittingroom-without-a-folder": f"{OURS}, out=False",
}
Seconds = dict[str, float]


class Side:
    """A process that trains on command."""

    def __init__(self, name: str, folder: Path) -> None:
        own = {"KERAS_BACKEND": "jax"} if name == "keras" else program_environment(folder)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.short_calls_script", name, str(fashion_mnist())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        )

    def seconds(self, work: str) -> Seconds:
        """Of one training, by the clock and of all cores."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(work, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process has ended with status {self._process.wait()}; what it said is above")
        found: Seconds = json.loads(line)
        return found

    def end(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def sides() -> Iterator[dict[str, Side]]:
    """All of them, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        started = {name: Side(name, Path(place)) for name in SIDES}
        for side in started.values():
            stack.callback(side.end)
        yield started


def main() -> None:
    """Measures, prints the tables and keeps them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    bars, first, cores = [], [("first call, which compiles", *SIDES.values())], []
    with sides() as started:
        for work, title in WORKS.items():
            first.append((title, *(f"{side.seconds(work)['clock']:.2f} s" for side in started.values())))
            measured: dict[str, list[Seconds]] = {name: [] for name in SIDES}
            for number in range(rounds):
                for name, side in started.items():
                    measured[name].append(side.seconds(work))
                print(f"  {work}, round {number + 1} of {rounds}", file=sys.stderr)
            clock = {name: [one["clock"] for one in found] for name, found in measured.items()}
            for name in ("fittingroom", "fittingroom-without-a-folder"):
                note = "" if name == "fittingroom" else ", out=False"
                bars.append(Bar(f"{title}{note}", SIDES["keras"], clock[name], clock["keras"]))
            spent = (Spread.of(one["core"] for one in found).text(" s") for found in measured.values())
            cores.append((title, *spent))
    print(f"{markdown_table(first)}\n{markdown_table([('seconds of all cores', *SIDES.values()), *cores])}")
    keep("short-calls", bars, {"versions": all_versions(PEERS["keras-jax"])})


if __name__ == "__main__":
    main()
