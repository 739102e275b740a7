"""How often "Did it overfit?" says yes too early, on real trainings that are continued to three times their epochs.

Usage: python -m benchmarks.overfitting [--trainings N] [--runs FOLDER]

Each training runs once, to the longest length, with the outcomes of every epoch. At a constant learning rate its first
epochs are the same training stopped there, so the verdict is asked at several lengths of each. A "yes" after E epochs
is false if the validation loss falls below its lowest so far in the epochs up to 3 E (after 20 and 30 epochs of most
trainings: up to 45). Trainings that `--runs` holds already are not trained again. One process with one CPU core is
enough: about 23 minutes for the 40 trainings on a busy machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.pairs import markdown_table
from fittingroom import Run, open_run, train
from fittingroom.evaluation.spread import Interval
from fittingroom.evaluation.stopping import Stopping
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.recipes.named import find_recipe

EPOCHS = 45
LENGTHS = (3, 5, 8, 10, 15)
LATE = (20, 30)  # of which 45 epochs show less than three times as many
PERIOD = ("course", "wide", "course", "wide", "course")
LONG = 10  # every so many trainings one of `wide` for three times 30 epochs


def plan(trainings: int) -> Iterator[tuple[str, int, int]]:
    """Recipe, seed and epochs of each training."""
    for number in range(trainings):
        if number % LONG == LONG - 1:
            yield "wide", 1000 + number, 2 * EPOCHS
        else:
            yield PERIOD[number % len(PERIOD)], number, EPOCHS


def trained(folder: Path, recipe: str, seed: int, epochs: int) -> Run:
    """The run, trained unless it is there."""
    place = folder / f"{recipe}-{seed}-{epochs}"
    if (place / "run.json").exists():
        return open_run(place)
    wanted = dataclasses.replace(find_recipe(recipe), epochs=epochs)
    return train("fashion-mnist", wanted, seed=seed, out=place, checkpoint_every=10 * EPOCHS)


def course_of(run: Run) -> tuple[Trajectories, npt.NDArray[np.float64]]:
    """What validation images went through, and the training loss of each epoch."""
    outcomes = run.outcomes
    assert outcomes is not None
    whole = Trajectories(
        loss=outcomes.loss,
        predicted=outcomes.predicted,
        probability=outcomes.probability,
        labels=outcomes.labels,
        classes=run.record.data.classes,
        epochs=tuple((outcomes.epoch + 1).tolist()),
    )
    return whole, np.asarray(run.history["loss"], np.float64)


def until(whole: Trajectories, epochs: int) -> Trajectories:
    """The first epochs of a training."""
    return dataclasses.replace(
        whole,
        loss=whole.loss[:epochs],
        predicted=whole.predicted[:epochs],
        probability=whole.probability[:epochs],
        epochs=whole.epochs[:epochs],
    )


def verdicts(run: Run) -> Iterator[tuple[int, bool, bool]]:
    """For each length: the length, whether the verdict is yes, and whether a lower validation loss comes later.

    Later is up to three times the length, or to the end of the training where that is nearer.
    """
    whole, training = course_of(run)
    losses = whole.mean_loss
    for epochs in (*LENGTHS, *LATE):
        found = Stopping.of([until(whole, epochs)], [training[:epochs]])
        yield epochs, found.differences.rises, bool(losses[epochs : 3 * epochs].min() < losses[:epochs].min())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, asks for the verdicts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=40)
    parser.add_argument("--runs", type=Path, help="folder that keeps the trainings (default: none kept)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.runs or Path(temporary)
        found: dict[tuple[str, int], list[tuple[bool, bool]]] = {}
        for recipe, seed, epochs in plan(given.trainings):
            for length, yes, lower_later in verdicts(trained(folder, recipe, seed, epochs)):
                found.setdefault((recipe, length), []).append((yes, lower_later))
    print(table(found))


def table(found: dict[tuple[str, int], list[tuple[bool, bool]]]) -> str:
    """The verdicts of each recipe and length, and all together."""
    head = ("recipe", "epochs", "verdicts", "yes where the lowest loss was past", "false yes", "share of all verdicts")
    rows: list[tuple[str, ...]] = [head]
    everything = [verdict for verdicts in found.values() for verdict in verdicts]
    for (recipe, length), verdicts in [*sorted(found.items()), (("all", 0), everything)]:
        yes = [lower for said, lower in verdicts if said]
        over = sum(not lower for _, lower in verdicts)
        false = sum(yes)
        low, high = Interval.wilson(false, len(verdicts))
        rows.append(
            (
                recipe,
                str(length or ""),
                str(len(verdicts)),
                f"{len(yes) - false} of {over}",
                str(false),
                f"{false / len(verdicts):.1%} ({low:.1%} to {high:.1%})",
            )
        )
    return markdown_table(rows)


if __name__ == "__main__":
    main()
