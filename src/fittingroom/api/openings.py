"""Sealed test sets: `load` gives datasets with one, and a look at one is counted before anything is computed of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fittingroom.data.csvfile import PixelTable
from fittingroom.data.dataset import Dataset, Opening, Part
from fittingroom.data.idx import FourFiles
from fittingroom.data.load import load as unrecorded_load
from fittingroom.data.model_inputs import ImageReader
from fittingroom.data.npz import NpzFile
from fittingroom.data.resizing import Resizing
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.luck import ScoredLook, TestResult
from fittingroom.evaluation.scores import Scores
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger, LedgerPlace
from fittingroom.runs.ledger_entries import Intent
from fittingroom.runs.looks import OtherTestSet, RunLooks, Standings
from fittingroom.runs.record import RunRecord
from fittingroom.runs.unfinished import RunLock
from fittingroom.text import amount

_log = logging.getLogger("fittingroom")


def load(  # noqa: PLR0913 - where the data are, what is validated on, how pictures are read, and what lists change
    name: str | os.PathLike[str] | Any = "fashion-mnist",
    *,
    validation: int | float | None = None,
    train: int | None = None,
    split_seed: int = 0,
    data_dir: Path | str | None = None,
    image_size: int | tuple[int, int] | None = None,
    aspect: str | None = None,
    color_mode: str | None = None,
    exclude: str | os.PathLike[str] | None = None,
    relabel: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> Dataset:
    """A dataset with its test part sealed: `data.train`, `data.validation` and `data.test`.

    `data.train.images` are the raw uint8 pixels and `data.train.x` the same as float32 in 0 to 1, ready for a model;
    `data.train.y` are the labels. `data.test.open("why")` is the only way to a test image or label, and a look that the
    user's ledger keeps; where it cannot be written, the test set stays closed.

    Args:
        name: one that `fittingroom data` lists, such as `fashion-mnist`; a `Dataset` or `DatasetDict` of Hugging
            Face's, with its splits train, validation and test; or own data, by their path alone or as `folder:FOLDER`
            with pictures in one sub-folder for each class, perhaps below train, validation and test, or with a table
            metadata.csv of file_name and label; `npz:FILE` with x_train, y_train and perhaps x_val, y_val, x_test,
            y_test and class_names, or as MedMNIST names them; `csv:FILE` with a label and the pixels in each row;
            `idx:FOLDER` with four IDX files named as MNIST's; `parquet:FILE` or a folder of such files, one or more
            for each split, as Hugging Face's hub has them.
        validation: how many images of the training part are set aside to validate on, the same share of each class: a
            number, or a fraction between 0 and 1. None means 5,000 of 60,000 and else a twelfth, or the validation part
            that a folder or a file brings along; 0 means none.
        train: how many of the other images to train on, the same share of each class; None for all of them.
        split_seed: decides which images these are; the same on every machine.
        data_dir: a folder with the files of a dataset that is known by name, or with a sub-folder of that name that
            has them.
        image_size: (height, width) in pixels, for pictures in folders and tables only; 64x64 by default where half of
            them are as large as that, else 28x28.
        aspect: how the pictures of a folder get that size where they have another shape: `pad` (the default) adds black
            borders, `crop` cuts off what juts out on both sides, `stretch` changes their proportions.
        color_mode: of the pictures of a folder: `rgb`, `grayscale`, or `auto` (the default), which is grayscale where
            every picture is grey all over.
        exclude: a reviewed list, a CSV file as `fittingroom audit --export` writes it: images of which it says
            `exclude`, or `relabel` where `relabel` is not given, are left out of training and validation.
        relabel: a reviewed list: images of which it says `relabel` get the label in `new_label`. Of both lists only
            rows with a decision count, or all rows where the column `decision` is missing; the test part stays as it
            is.
        image_column: the column of images, for datasets of Hugging Face's and parquet files; None to find it.
        label_column: the column of labels, likewise.

    Raises:
        UnknownNameError: no dataset has this name.
        DatasetNotFoundError: the data are nowhere to be found; the message says how to get them.
        DataError: the data are damaged or are not what they should be, or an argument makes no sense.
    """
    dataset = unrecorded_load(
        name,
        validation=validation,
        train=train,
        split_seed=split_seed,
        data_dir=data_dir,
        image_size=image_size,
        aspect=aspect,
        color_mode=color_mode,
        exclude=exclude,
        relabel=relabel,
        image_column=image_column,
        label_column=label_column,
    )
    return recorded(dataset)


def recorded(dataset: Dataset, run: Path | None = None) -> Dataset:
    """The same dataset, with a test set whose openings and inspections are entered into the user's ledger.

    Args:
        dataset: as `fittingroom.data.load.load` gives it.
        run: the folder of the run that an inspection is for.
    """
    inspector = partial(_enter_inspection, dataset.name, run)
    return replace(dataset, test=dataset.test.recorded(partial(_enter, dataset.name), _said_looks, inspector))


def _enter(dataset: str, opening: Opening) -> None:
    """Enters an opening into the ledger; a ledger that cannot be written raises, and the test set stays closed."""
    from fittingroom.runs.ledger import Ledger
    from fittingroom.runs.ledger_entries import Intent

    intent = Intent(dataset, opening.count, opening.reason, fingerprint=opening.fingerprint)
    Ledger.of_user().record_look(opening.source_fingerprint, intent)


def _enter_inspection(dataset: str, run: Path | None, opening: Opening) -> None:
    """Enters an inspection into the ledger; where that cannot be written, the images stay sealed."""
    folder = None if run is None else str(run.resolve())
    intent = Intent(dataset, opening.count, opening.reason, folder, fingerprint=opening.fingerprint)
    Ledger.of_user().record_inspection(opening.source_fingerprint, intent)


def _said_looks(known_as: frozenset[str]) -> str:
    """How many looks the user's ledger has at the test set that is known by these."""
    from fittingroom.errors import StorageError
    from fittingroom.runs.ledger import Ledger

    try:
        looks = sum(look.is_new for look in Ledger.of_user().looks() if look.known_as & known_as)
    except StorageError:
        return "the ledger cannot be read"
    return f"{amount(looks, 'look')} in the ledger"


def look(
    path: Path,
    record: RunRecord,
    dataset: Dataset,
    reason: str,
    score: Callable[[Part], Scores],
    together: str | None = None,
    on: OtherTestSet | None = None,
) -> None:
    """Opens the test set for a run and keeps its score, in the ledger and in the run's own record.

    Args:
        path: the run folder.
        record: its record.
        dataset: the run's dataset.
        reason: why the test set is opened.
        score: gives the scores on the opened test set.
        together: what the other seeds have in common that are scored in the same look; None for a look by itself.
        on: the test set, where it is not the run's own.

    Raises:
        RunError: the run is being trained further.
        StorageError: the ledger or the record cannot be written. Before the intent is in both, nothing is opened.
    """
    if trainer := RunLock.holder(path) or RunLock.holder(path.parent):
        raise RunError(
            f"{path} is being trained further by {trainer}, so its score would soon be out of date. Wait for the end."
        )
    ledger = Ledger.of_user()
    intent = replace(_intent(path, record, dataset.name, len(dataset.test), reason), together=together)
    looks, taken = RunLooks(path, on), list[tuple[LedgerPlace, int]]()

    def write_intent(opening: Opening) -> None:
        looks.check_writable()  # or a look would be counted, and nothing opened
        place = ledger.record_look(opening.source_fingerprint, intent)
        taken.append((place, looks.add(reason, place)))

    with looks.alone():
        if looks.has_score:
            return  # another process scored the run while this one waited
        stored = score(dataset.test.recorded(write_intent).open(reason)).to_dict()
        ((place, number),) = taken
        # The ledger first: a score that only the run has would be one that nobody can vouch for.
        ledger.record_score(place, stored)
        looks.add_score(number, stored)


def _intent(path: Path, record: RunRecord, dataset: str, images: int, reason: str) -> Intent:
    """What the ledger keeps of a run that is about to look.

    Args:
        path: the run folder.
        record: its record.
        dataset: the name under which the test images were loaded.
        images: the number of test images.
        reason: why the test set is opened.
    """
    return Intent(
        dataset=dataset,
        images=images,
        reason=reason,
        run=str(path.resolve()),
        recipe=record.recipe["name"],
        recipe_digest=Intent.digest_of(record.recipe),
        seed=record.seed,
        weights=SeedFiles(path).weights.sha256(),
        fingerprint=record.data.test_fingerprint,
    )


def stored_result(runs: Sequence[tuple[Path, RunRecord]]) -> TestResult:
    """The stored score of each run, the latest where there are several, and where its look stands among all looks.

    Args:
        runs: the folder of each, and its record.

    Raises:
        RunError: the ledger contradicts a score.
    """
    standings = Standings()
    each = []
    for path, record in runs:
        found = standings.scored(path, record)
        if found is None:
            raise RunError(f"{path} has no score on its test set.")
        stored, standing = found
        if standing.problem is not None:
            raise RunError(f"The test score is not believed: {standing.problem}")
        scores = Scores.from_dict(stored.score or {})
        each.append(ScoredLook(record.seed, scores, stored.reason, standing.look, standing.reuse))
    return TestResult(tuple(each))


def count_test_part(runs: Sequence[tuple[Path, RunRecord]], files: Sequence[Path]) -> None:
    """Counts a look where files to predict have the runs' own test set, with its labels in or beside them.

    Whoever has these predictions has the score. The dataset is looked for where the files are: an NPZ file itself, the
    folder of an IDX file, the CSV file of the training part beside one of the test part, and the folders above
    pictures in folders with the names of the classes.

    Args:
        runs: the folder of each run that is asked, and its record.
        files: all files that are predicted together.

    Raises:
        StorageError: the ledger cannot be written.
    """
    data = runs[0][1].data
    if not data.has_test_set:
        return
    for path in filter(ImageReader.holds_arrays, files):
        for name in _datasets_of(path):
            _count(runs, _loaded(name), path.name)
    pictures = {path.resolve() for path in files if path.parent.name in data.classes}
    if data.name.startswith("folder:") and len(pictures) >= data.counts["test"]:
        for root in list(min(pictures).parents)[1:3]:
            resizing = Resizing.recorded(data.load).arguments
            dataset = _loaded(f"folder:{root}", image_size=data.image_shape[:2], **resizing)
            if dataset is not None and dataset.test.is_among(root, pictures):
                _count(runs, dataset, root.name)


def _datasets_of(path: Path) -> list[str]:
    """The datasets that a file with arrays may hold the test part of, as `load` takes them."""
    try:
        names = set(NpzFile(path).names())
    except (DataError, OSError):
        names = set()
    if names:
        labelled = names & {"x_test", "test_images"} and names & {"y_test", "test_labels"}
        return [f"npz:{path}"] if labelled else []
    if path.suffix.lower() in {".csv", ".tsv"}:
        return [
            f"csv:{other}"
            for other in sorted(path.parent.glob(f"*{path.suffix}"))
            if PixelTable.test_file(other) == path
        ]
    return [f"idx:{path.parent}"] if FourFiles.is_test_images(path) else []


def _loaded(name: str, **arguments: Any) -> Dataset | None:
    try:
        return unrecorded_load(name, **arguments)
    except (DataError, OSError):
        return None  # no dataset, so that its test part is none


def _count(runs: Sequence[tuple[Path, RunRecord]], dataset: Dataset | None, name: str) -> None:
    """Counts a look of the runs whose test set a dataset has."""
    ledger = Ledger.of_user()
    for folder, record in runs:
        if dataset is None or record.data.test_fingerprint != dataset.test.fingerprint:
            continue
        _log.warning("%s has the run's own sealed test set: predicting it is a look, which the ledger counts.", name)
        intent = _intent(folder, record, dataset.name, len(dataset.test), f"predict {name}")
        dataset.test.recorded(partial(_record, ledger, intent)).open(intent.reason)


def _record(ledger: Ledger, intent: Intent, opening: Opening) -> None:
    ledger.record_look(opening.source_fingerprint, intent)
