"""How much more than its matrix products an epoch of `course` costs, alone and with a seed on every core.

Usage: python -m benchmarks.products                      the comparison
       python -m benchmarks.products --at-once NUMBER     the products alone, in so many processes at the same time

The products have one thread, as a seed has; that of JAX and NumPy which is faster counts. For as many seeds as
cores, as many processes do the products side by side, and both times are divided by their number.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from benchmarks.bars import Bar, keep
from benchmarks.epochs import our_epoch, result
from benchmarks.gemms import LIBRARIES, ONE_THREAD, OPERATIONS
from benchmarks.pairs import Command, Sample, in_turn, machine
from benchmarks.sides import OURS, ROOT, our_versions, seeds_at_once, training

ROUNDS = 5
PRODUCTS = "matrix products alone"


def products_at_once(count: int) -> dict[str, float]:
    """Seconds that one epoch's products take in each library, by process, while `count` processes do them."""
    command = [sys.executable, "-m", "benchmarks.gemms"]
    environment = {**os.environ, **ONE_THREAD}
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(count)
    ]
    pipes = [(_open(process.stdin), _open(process.stdout)) for process in processes]
    for _ in LIBRARIES:
        for _, output in pipes:
            output.readline()
        for order, _ in pipes:
            order.write("go\n")
    times = [json.loads(output.readline()) for _, output in pipes]
    for process in processes:
        process.communicate()
    return {library: sum(time[library] for time in times) / count for library in LIBRARIES}


def _open(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("a process was started without a pipe")
    return stream


def products(count: int, folder: Path) -> Command:
    """The products in so many processes, as a command that can take turns with others."""
    arguments = (sys.executable, "-m", "benchmarks.products", "--at-once", str(count))
    return Command(f"{PRODUCTS}, {count} at once", arguments, {"PYTHONPATH": str(ROOT)}, folder)


def fastest(sample: Sample) -> float:
    """Seconds per epoch in the library that is faster."""
    return float(min(json.loads(sample.output).values()))


def compare() -> None:
    """Measures, prints the table and keeps it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        one, many, count = training(folder), seeds_at_once(folder), machine()["cores"]
        alone, together = products(1, folder), products(count, folder)
        rounds = in_turn([one, alone, many, together], ROUNDS)

    sides = {
        "one seed": (one, alone, 1),
        f"per seed, {count} at once": (many, together, count),
    }
    bars = [
        Bar(
            f"one epoch of `course`, {work}",
            PRODUCTS,
            [our_epoch(result(samples[ours.name])) for samples in rounds],
            [fastest(samples[theirs.name]) / number for samples in rounds],
            ratio="ours / theirs",
            reading="the time",
        )
        for work, (ours, theirs, number) in sides.items()
    ]
    facts = {
        "versions": {OURS: our_versions()},
        "operations": OPERATIONS,
        "products": {
            side.name: [json.loads(samples[side.name].output) for samples in rounds] for side in (alone, together)
        },
    }
    keep("products", bars, facts)


def main() -> None:
    """Compares, or is one of the sides."""
    if sys.argv[1:2] == ["--at-once"]:
        print(json.dumps(products_at_once(int(sys.argv[2]))))
    else:
        compare()


if __name__ == "__main__":
    main()
