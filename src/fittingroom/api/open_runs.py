"""Runs by their folders: `open_run`, and several side by side by `compare` and `report`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, overload

import numpy as np

from fittingroom.errors import InputError, RunError
from fittingroom.evaluation.comparison import Comparison, Contender
from fittingroom.evaluation.leaderboard import Leaderboard, Leaderboards
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import find_run, is_run
from fittingroom.runs.shared_images import SharedImages
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import amount

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from fittingroom.api.run import Run
    from fittingroom.reports.pages.document import Report

    AnyRun: TypeAlias = str | Path | Run

_SAME_BY_LABELS = (
    "Runs on plain arrays leave no fingerprint: that their validation images are the same rests on their labels alone."
)


def open_run(run: str | Path = "latest", *, model: keras.Model | None = None, trust: bool = False) -> Run:
    """A run from its folder; it predicts exactly as the one that was saved.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`. One seed of a run is a run too:
            `NAME/seed-2`.
        model: the Keras model, needed only where the run's own description cannot make it again (it then says so).
        trust: whether the Python file that the model came from may be run again where that is needed. It is run only if
            it has not changed; its path and its hash are said first, as a warning of the logger `fittingroom`.

    Raises:
        UnknownNameError: there is no such run.
        RunError: the folder is damaged, or was written by a newer version.
    """
    from fittingroom.api.run import Run

    return Run(find_run(run), model=model, trust=trust)


def compare(runs: Sequence[str | Path | Run]) -> Comparison:
    """Compares runs on the validation images that they share: the honest way to choose between recipes.

    Every two are compared by a paired test: accuracies of one seed on each side by McNemar's exact test, losses by
    Student's t over images; from five seeds on both sides, other seeds count too, and the comparison speaks of the
    recipes. With more than two runs, p and intervals are adjusted for the number of pairs (Bonferroni), so that an
    interval holds 0 if, and only if, no difference is shown. "No difference shown" is a possible answer. The test set
    has no part in it: choose here, then open it once, for what you chose.

    Args:
        runs: two or more: folders, names of runs in the runs folder, `latest`, or what `train`, `fit` and `open_run`
            gave. A run of several seeds counts as one.

    Returns:
        The scores of each run and the differences of each pair; printed, it says what is shown.

    Raises:
        UnknownNameError: there is no such run.
        RunError: a run is damaged, or has no validation images.
        InputError: there are fewer than two runs, one is given twice, or their validation images are not the same.
            Where they differ by reviewed lists alone, the runs are compared on the images that all have.
    """
    one = isinstance(runs, str | Path) or not isinstance(runs, Iterable)
    if one or (hasattr(runs, "path") and len(runs) == 1):
        given = repr(str(runs)) if isinstance(runs, str | Path) else f"of type {type(runs).__name__}"
        raise InputError(f"compare({given}): expected a list of two runs or more, such as ['first', 'second'].")
    paths = [find_run(run) for run in runs]
    _check_apart(paths)
    names = _names(paths)
    validated = [[ValidationOutcomes.read(folder) for folder in read_layout(path).folders.values()] for path in paths]
    shared = SharedImages.of([seeds[0] for seeds in validated])
    notes = _check_same_images(names, validated) if shared is None else [shared.note]
    contenders = []
    for place, (name, seeds) in enumerate(zip(names, validated, strict=True)):
        _check_answers(seeds)
        contender, more = contender_of(name, seeds, None if shared is None else shared.rows[place])
        contenders.append(contender)
        notes += more
    return Comparison.of(validated[0][0].record.data.name, contenders, notes)


def leaderboard(runs: Sequence[str | Path | Run]) -> Leaderboards:
    """Runs on their validation images, best first, and which of them are not shown to differ from the best.

    Unlike `compare`, it takes runs as they come: those on other images have a table of their own, and those that have
    no validation images, or are damaged, are left out and named. Each is compared with the first only, by the same
    paired tests, corrected for every pair that there is. No test set is opened, and no test score is read.

    Args:
        runs: one or more, as `compare` takes them.

    Returns:
        The leaderboards, that with the most runs first; printed, they are tables.

    Raises:
        InputError: no run is given, or one twice.
        UnknownNameError: there is no such run.
    """
    paths = [find_run(run) for run in runs]
    _check_apart(paths, least=1)
    groups, left_out = list[tuple[ValidationOutcomes, list[Contender]]](), list[tuple[str, str]]()
    for name, path in zip(_names(paths), paths, strict=True):
        try:
            seeds = [ValidationOutcomes.read(folder, "compare it") for folder in read_layout(path).folders.values()]
            if any(seeds[0].difference_of_images(one) for one in seeds):
                raise RunError(f"{path} has seeds with different validation images.")
            _check_answers(seeds)
        except RunError as error:
            left_out.append((name, str(error)))
            continue
        contender, _ = contender_of(name, seeds)
        same = next((group for first, group in groups if first.difference_of_images(seeds[0]) is None), None)
        if same is None:
            groups.append((seeds[0], [contender]))
        else:
            same.append(contender)
    groups.sort(key=lambda group: -len(group[1]))
    boards = tuple(Leaderboard.of(first.record.data.name, group) for first, group in groups)
    return Leaderboards(boards, tuple(left_out))


def _check_apart(paths: Sequence[Path], least: int = 2) -> None:
    """Raises InputError unless there are enough runs, none of them part of another."""
    if len(paths) < least:
        raise InputError(f"{amount(len(paths), 'run')} to compare; expected {'two' if least > 1 else 'one'} or more.")
    whole = [path.resolve() for path in paths]
    for index, path in enumerate(whole):
        if path in whole[:index]:
            raise InputError(f"{paths[index]} was given twice; a run does not differ from itself. Give two runs.")
        for parent in set(whole) & set(path.parents):
            raise InputError(f"{paths[index]} is one seed of {parent}. Give the one or the other.")


def _names(paths: Sequence[Path]) -> list[str]:
    """What to call the runs: the name of the folder, as far as that tells them apart."""
    short = [f"{path.parent.name}/{path.name}" if is_run(path.parent) else path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _check_same_images(names: Sequence[str], validated: Sequence[Sequence[ValidationOutcomes]]) -> list[str]:
    """Raises InputError where validation images differ; a note where they are the same by their labels only."""
    first = validated[0][0]
    for name, seeds in zip(names, validated, strict=True):
        for one in seeds:
            if (difference := first.difference_of_images(one)) is not None:
                raise InputError(
                    f"{names[0]} and {name} cannot be compared, since {difference}. Runs are compared on the same "
                    "images: train both on the same dataset with the same --validation."
                )
    unmarked = any(not one.record.data.fingerprint for seeds in validated for one in seeds)
    return [_SAME_BY_LABELS] if unmarked else []


def _check_answers(seeds: Sequence[ValidationOutcomes]) -> None:
    """Raises RunError where a model has no answers to the images, so that there is nothing to compare."""
    for one in seeds:
        if (why := ValidationOutcomes.why_not_finite(one.path, one.record)) is not None:
            raise RunError(f"{one.path} cannot be compared. {why}")


def contender_of(
    name: str, seeds: Sequence[ValidationOutcomes], rows: npt.NDArray[np.int64] | None = None
) -> tuple[Contender, list[str]]:
    """A run as what its kept weights make of the images, and what should be said of it.

    Args:
        name: what to call it.
        seeds: what is stored of each of its seeds.
        rows: which of its validation images count; None for all.
    """
    each = [one.kept for one in seeds]
    contender = Contender(
        name=name,
        recipe=str(seeds[0].record.recipe["name"]),
        seeds=tuple(one.record.seed for one in seeds),
        correct=np.stack([kept.right if rows is None else kept.right[rows] for kept in each]),
        loss=np.stack([kept.loss if rows is None else kept.loss[rows] for kept in each]),
    )
    notes = []
    if not all(one.known for one in seeds):
        notes.append(
            f"{name} was written by an older version, which did not store what its kept weights make of the validation "
            "images; it is compared by its last validated epoch. Train it again to compare what it keeps."
        )
    return contender, notes


@overload
def report(runs: AnyRun | Sequence[AnyRun]) -> Report: ...
@overload
def report(runs: AnyRun | Sequence[AnyRun], path: str | Path) -> Path: ...
def report(runs: AnyRun | Sequence[AnyRun], path: str | Path | None = None) -> Report | Path:
    """A page about a run: a summary in words, curves, what loss and accuracy really say, its confidence, its images.

    Several runs stand side by side, with the paired comparison of `compare`. The page is one HTML file that loads
    nothing. No test set is opened; a test result that there is already is shown.

    Args:
        runs: one or more: folders, names of runs in the runs folder, `latest`, or what `train`, `fit` and `open_run`
            gave.
        path: the file to write.

    Returns:
        The path of the file; without `path` the page itself, which a notebook shows inline.

    Raises:
        UnknownNameError: there is no such run.
        InputError: a run has no validation images, or no epoch with finite losses; a file is missing or damaged; or
            several runs were not validated on the same images.
        StorageError: the file cannot be written.
    """
    from fittingroom.reports.pages.report_page import report_of

    given = _listed(runs)
    comparison = None
    if len(given) > 1:
        comparison = compare(given).to_dict()
    page = report_of([find_run(one) if isinstance(one, str | Path) else one.path for one in given], comparison)
    return page if path is None else page.save(path)


def _listed(runs: AnyRun | Sequence[AnyRun]) -> list[AnyRun]:
    """The runs as a list. A run can be iterated too, but is one run; its class is not imported, which loads JAX."""
    if isinstance(runs, str | Path) or hasattr(runs, "path"):
        return [cast("AnyRun", runs)]
    if not isinstance(runs, Iterable):
        find_run(runs)  # says what a run is
    return list(runs)
