"""What checkpoints cost: the share of a training's time that goes into writing them.

Usage: python -m benchmarks.checkpoints [RECIPE]

Trains a recipe (`course`, unless another is named) on all of Fashion-MNIST a few times, with a checkpoint after every
epoch, and takes the time inside the function that writes them. The promise is at most 3% for `course`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import fittingroom
from fittingroom.progress import Progress
from fittingroom.runs.checkpoints import Checkpoint, Checkpoints

ROUNDS = 7


def measured(recipe: str) -> list[tuple[float, float]]:
    """Seconds in checkpoints and of the training, checkpoints included, for each round."""
    spent: list[float] = []
    write = Checkpoints.write

    def timed(checkpoints: Checkpoints, checkpoint: Checkpoint) -> None:
        started = time.perf_counter()
        write(checkpoints, checkpoint)
        spent.append(time.perf_counter() - started)

    Checkpoints.write = timed  # type: ignore[method-assign, assignment]
    data = fittingroom.load("fashion-mnist")
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            spent.clear()
            run = fittingroom.train(data, recipe, out=Path(folder) / str(number), progress=Progress())
            rounds.append((sum(spent), run.record.seconds.train))
    return rounds


def main() -> None:
    """Prints the medians, and the lowest and the highest."""
    recipe = sys.argv[1] if len(sys.argv) > 1 else "course"
    rounds = measured(recipe)
    shares = [100 * spent / train for spent, train in rounds]
    print(
        f"{recipe}: checkpoints took {statistics.median(spent for spent, _ in rounds):.3f} s of "
        f"{statistics.median(train for _, train in rounds):.2f} s of training: {statistics.median(shares):.2f}% "
        f"({min(shares):.2f}–{max(shares):.2f})"
    )


if __name__ == "__main__":
    main()
