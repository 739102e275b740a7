"""Several seeds in one call against the better of two ways to do without: one after the other, or a process per core.

Usage: python -m benchmarks.seeds [RECIPE ...]

Each figure is the seconds that training takes for each seed, on some of Fashion-MNIST's images; start-up, data and
compilation do not count. Of the two other ways, the better one of each round is compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.pairs import machine
from benchmarks.sides import HERE, our_versions, program_environment

ROUNDS = 3
COUNTS = (2, 5)
# Training images and epochs that take seconds.
SIZES = {"course": ("20000", "4"), "wide": ("20000", "1"), "mlp-best": ("20480", "1"), "cnn": ("5120", "1")}


def started(way: str, recipe: str, seeds: list[int], folder: Path, *, alone: bool = False) -> subprocess.Popen[str]:
    """A process that trains these seeds; `alone` on one device, as one of several processes would be told."""
    command = (sys.executable, str(HERE / "seeds_script.py"), way, recipe, *SIZES[recipe], *map(str, seeds))
    environment = {**os.environ, **program_environment(folder)} | ({"JAX_NUM_CPU_DEVICES": "1"} if alone else {})
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)


def seconds(process: subprocess.Popen[str]) -> float:
    """What a process printed last.

    Raises:
        RuntimeError: it failed.
    """
    output, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"a training with several seeds ended with status {process.returncode}")
    return float(output.split()[-1])


def side_by_side(recipe: str, seeds: list[int], folder: Path) -> float:
    """The seconds of the slowest of as many processes as there are cores."""
    cores = machine()["cores"]
    processes = [started("turns", recipe, seeds[core::cores], folder, alone=True) for core in range(cores)]
    return max(map(seconds, processes))


def main() -> None:
    """Measures, prints the table and keeps it."""
    bars, ways = [], {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for recipe in sys.argv[1:] or SIZES:
            for count in COUNTS:
                seeds, ours, turns, beside = list(range(count)), [], [], []
                for number in range(ROUNDS + 1):
                    together = seconds(started("together", recipe, seeds, folder)) / count
                    if number == 0:  # programs are traced and compiled, and the machine is measured
                        side_by_side(recipe, seeds, folder)
                        continue
                    ours.append(together)
                    turns.append(seconds(started("turns", recipe, seeds, folder)) / count)
                    beside.append(side_by_side(recipe, seeds, folder) / count)
                best = [min(pair) for pair in zip(turns, beside, strict=True)]
                bars.append(Bar(f"`{recipe}`, per seed, {count} seeds", "the better way without", ours, best))
                ways[f"{recipe}, {count} seeds"] = {"one after the other": turns, "side by side": beside}
                print(bars[-1].row(), ways[f"{recipe}, {count} seeds"], file=sys.stderr)
    keep("seeds", bars, {"versions": {"Fitting Room": our_versions()}, "ways": ways})


if __name__ == "__main__":
    main()
