"""How often models on pretrained features are right about photographs, beside one from scratch, and what they take.

Usage: python -m benchmarks.transfer PHOTOS [--test DIR] [--recipe NAME]... [--shots N]... [--part accuracy|speed]

PHOTOS has a folder of photographs for each class. Each photograph is answered by a model that has not seen it: a model
is trained for each fifth of the photographs, on the other four (`--folds`). With `--test DIR`, one model is trained on
all of PHOTOS and answers those in DIR. `--shots 10` trains on ten photographs of each class besides.

What can be chosen was chosen by the answers to photographs whose SHA-256 of the file name is even. The others are what
is reported, and with `--test` all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pairs import markdown_table, measured_on, place
from benchmarks.photos import is_reported
from fittingroom import Run, train
from fittingroom.errors import DataError
from fittingroom.evaluation.spread import Interval
from fittingroom.photos.photo_reader import _picture_files
from fittingroom.progress import Progress
from fittingroom.text import percent, percent_range

FOLDS = 5
SHOTS = (10, 20)
PRETRAINED = ("transfer", "finetune")
FROM_SCRATCH = "cnn"
AT_ONCE = 64  # photographs that a model answers in one call
Answers = Mapping[Path, bool]
"""Whether the class that a model names for a photograph is the right one."""


@dataclass(frozen=True)
class Parting:
    """Photographs to train on, and others to answer."""

    train: Sequence[Path]
    test: Sequence[Path]


def _order(path: Path, salt: str) -> bytes:
    return hashlib.sha256(f"{salt} {path.name}".encode()).digest()


def _by_class(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The photographs of each class, whose name is that of their folder."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent.name, []).append(path)
    return found


def crossed(paths: Sequence[Path], folds: int) -> list[Parting]:
    """Partings in which each photograph is answered once; of each class they have equally many, but for one."""
    numbers: dict[Path, int] = {}
    for name, some in sorted(_by_class(paths).items()):
        for rank, path in enumerate(sorted(some, key=lambda path: _order(path, "fold"))):
            numbers[path] = (rank + int(_order(Path(name), "first")[0])) % folds
    return [
        Parting(
            [path for path in paths if numbers[path] != number], [path for path in paths if numbers[path] == number]
        )
        for number in range(folds)
    ]


def few(paths: Iterable[Path], count: int, draw: int) -> list[Path]:
    """So many photographs of each class, or all that it has, drawn by the hash of their names and the number `draw`."""
    return [
        path
        for some in _by_class(paths).values()
        for path in sorted(some, key=lambda path: _order(path, f"few {draw}"))[:count]
    ]


def score_cells(right: Answers) -> tuple[str, ...]:
    """The accuracy with its interval on the half that is reported, on the one that chose, and on both."""
    halves = [
        [value for path, value in right.items() if is_reported(path)],
        [value for path, value in right.items() if not is_reported(path)],
        list(right.values()),
    ]
    return tuple(
        f"{percent(sum(half) / len(half))} ({percent_range(Interval.wilson(sum(half), len(half)))})" if half else ""
        for half in halves
    )


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def trained(parting: Parting, recipe: str, folder: Path) -> Run:
    """A run of the recipe, as a user trains it, on photographs that are copied into a folder of their own."""
    for path in parting.train:
        _copy(path, folder / "photos" / "train" / path.parent.name / path.name)
    # A folder needs a test part. Nothing looks at this one: the photographs to answer are those of the parting.
    for name, some in _by_class(parting.train).items():
        _copy(some[0], folder / "photos" / "test" / name / some[0].name)
    return train(str(folder / "photos"), recipe, validation=0, out=folder / "run", progress=Progress())


def answered(run: Run, paths: Sequence[Path]) -> dict[Path, bool]:
    """Whether the run names the right class for each of some photographs."""
    classes = run.record.data.classes
    right: dict[Path, bool] = {}
    for start in range(0, len(paths), AT_ONCE):
        some = paths[start : start + AT_ONCE]
        names = [classes[number] for number in run.predict([str(path) for path in some]).argmax(axis=1)]
        right |= {path: name == path.parent.name for path, name in zip(some, names, strict=True)}
    return right


def measured(partings: Sequence[Parting], recipe: str) -> dict[Path, bool]:
    """The answers to the photographs of all partings."""
    right: dict[Path, bool] = {}
    for parting in partings:
        with tempfile.TemporaryDirectory() as folder:
            right |= answered(trained(parting, recipe, Path(folder)), parting.test)
    return right


def accuracy_rows(
    partings: Sequence[Parting], recipes: Sequence[str], shots: Sequence[int]
) -> Iterator[tuple[str, ...]]:
    """A line for each recipe, trained on all photographs and on a few of each class."""
    for count in (None, *shots):
        some = [
            parting if count is None else Parting(few(parting.train, count, number), parting.test)
            for number, parting in enumerate(partings)
        ]
        photos = round(sum(len(parting.train) for parting in some) / len(some))
        for recipe in recipes:
            right = measured(some, recipe)
            yield recipe, "all" if count is None else str(count), f"{photos:,}", *score_cells(right)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("--test", metavar="DIR", type=Path)
    parser.add_argument("--recipe", action="append", default=[], metavar="NAME")
    parser.add_argument("--shots", action="append", default=[], type=int, metavar="N")
    parser.add_argument("--folds", default=FOLDS, type=int, metavar="N")
    parser.add_argument("--part", choices=("accuracy", "speed"))
    given: Any = parser.parse_args(arguments)
    paths = photographs(given.photos)
    print(f"{len(paths):,} photographs in {len(_by_class(paths))} classes; {place(measured_on())}\n")
    with tempfile.TemporaryDirectory() as folder:
        # Neither the user's cache nor the user's ledger: all of it is made again, and no look of theirs is counted.
        os.environ |= {
            "FITTINGROOM_CACHE_DIR": f"{folder}/cache",
            "FITTINGROOM_LEDGER": f"{folder}/ledger.sqlite",
            "FITTINGROOM_RUNS_DIR": f"{folder}/runs",
        }
        recipes = given.recipe or [*PRETRAINED, FROM_SCRATCH]
        if given.part != "speed":
            partings = crossed(paths, given.folds) if given.test is None else [Parting(paths, photographs(given.test))]
            header = ("recipe", "photos a class", "trained on", "right: reported half", "half to choose on", "both")
            rows = []
            for row in accuracy_rows(partings, recipes, given.shots or SHOTS):
                print("  ".join(row), file=sys.stderr, flush=True)
                rows.append(row)
            print(markdown_table([header, *rows]))
        if given.part != "accuracy":
            from benchmarks.transfer_speed import speed_tables

            print(speed_tables(paths, Path(folder), [name for name in recipes if name in PRETRAINED]))
    return 0


def photographs(folder: Path) -> list[Path]:
    """The photographs in the folders of classes.

    Raises:
        DataError: there are none.
    """
    found = [path for path, _ in _picture_files([folder])]
    if not found:
        raise DataError(f"{folder} has no photographs. Give a folder with a folder of photographs for each class.")
    return found


if __name__ == "__main__":
    sys.exit(main())
