"""Files that are compared with the run before they are written, and written whole or not at all.

The comparison is made by the runtime that the files' users have, on the run's validation images: the same class for
each, and probabilities within `tolerance_of` the run.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.atomic import read_file, storage_errors, sync_folder, write_bytes
from fittingroom.errors import InputError, ModelError
from fittingroom.exports.export_subject import Answer, ExportFormat, ExportSubject, Files, tolerance_of
from fittingroom.text import number

Array = np.ndarray[Any, Any]

_AT_ONCE = 64  # images that are asked about together
_LARGEST = 2**32  # bytes of a file that is compared with what would be written


def check_files(
    subject: ExportSubject, how: ExportFormat, files: Files, done: Callable[[int, int], None]
) -> dict[str, Any]:
    """Compares what files answer with what the run answers.

    Args:
        subject: what they were made from.
        how: the module of their format.
        files: what would be written.
        done: told how many images were compared, and of how many.

    Returns:
        What was compared, JSON: `by`, the runtime; `images`, how many; `kind`, which: `validation`, `given` or
        `synthetic`; `same_class`, of how many the class is the same; `largest_difference` of two probabilities, and the
        `tolerance` for it. Where nothing could be compared, `by` is None and `why_not` says so. Where the format says
        what its files lose, that stands under `loss`.

    Raises:
        ModelError: an image is answered otherwise.
        InputError: the runtime is missing.
    """
    loss_of = getattr(how, "loss_of", None)
    loss = None if loss_of is None else loss_of(subject, files)
    try:
        answer = how.answers_of(subject, files)
    except InputError as error:
        if not getattr(how, "RUNTIME_IS_OPTIONAL", False):
            raise
        return {"by": None, "why_not": str(error), "loss": loss}
    most = min(getattr(how, "CHECKED", len(subject.images)), len(subject.images))
    places = np.linspace(0, len(subject.images) - 1, most).astype(np.int64)
    found = _answered(answer, subject.images, places[:1] if loss else places, done)
    compared = {"by": how.RUNTIME, "images": len(found), "kind": subject.kind, "loss": loss}
    if loss is not None:
        return compared
    same, difference = _compared(found, subject.answers[places])
    tolerance = tolerance_of(subject)
    wrong = np.flatnonzero(~same | ~(difference <= tolerance))
    if len(wrong):
        raise ModelError(_why_not(subject, how.RUNTIME, int(places[wrong[0]]), found[wrong[0]], len(wrong), most))
    largest = float(difference.max(initial=0.0))
    return {**compared, "same_class": int(same.sum()), "largest_difference": largest, "tolerance": tolerance}


def _answered(answer: Answer, images: Array, places: Array, done: Callable[[int, int], None]) -> Array:
    several = []
    for start in range(0, len(places), _AT_ONCE):
        few = places[start : start + _AT_ONCE]
        several.append(np.asarray(answer(images[few]), np.float32))
        done(start + len(few), len(places))
    return np.concatenate(several)


def _compared(found: Array, answers: Array) -> tuple[Array, Array]:
    """Whether each image has the same class, and the largest difference of its probabilities; NaN where one is NaN."""
    # Of two classes that are equally likely to the run, either is the same.
    same = answers[np.arange(len(found)), found.argmax(axis=1)] == answers.max(axis=1)
    return same, np.abs(found - answers).max(axis=1, initial=0.0)


def _why_not(subject: ExportSubject, runtime: str, place: int, found: Array, wrong: int, images: int) -> str:
    names, answers = subject.facts["class_names"], subject.answers[place]

    def said(row: Array) -> str:
        if np.isnan(row).any():
            return "no number"
        return f"{names[int(row.argmax())]} at {number(float(row.max()), 6)}"

    return (
        f"What {runtime} answers is not what the run answers, so nothing was written: {subject.kind} image {place} is "
        f"{said(answers)} to the run and {said(found)} to {runtime}. {wrong:,} of {images:,} images differ by more "
        f"than {tolerance_of(subject):g}, or in their class."
    )


def write_files(files: Files, target: Path) -> bool:
    """Writes the files of an export, whole or not at all: one file, or a folder.

    Args:
        files: one whose name is a suffix becomes `target` itself; else `target` is their folder.
        target: what must not exist, unless it has exactly these files.

    Returns:
        Whether it was there already.

    Raises:
        InputError: something else is there.
        StorageError: it cannot be written; nothing of it is left.
    """
    single = _single(files)
    if os.path.lexists(target) and not (single is None and _is_empty_folder(target)):
        if _is_there(files, target):
            return True
        raise InputError(
            f"{target} exists, and is not this export. Choose another place with --out (out= in Python), or delete it."
        )
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if single is not None:
        write_bytes(target, single)
        return False
    _write_folder(files, target)
    return False


def _write_folder(files: Files, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    with storage_errors(target):
        try:
            for name, content in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            with suppress(FileNotFoundError):
                target.rmdir()  # an empty one; Windows renames nothing onto it
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(target.parent)


def _single(files: Files) -> bytes | None:
    """The content of the only file; None for a folder."""
    return next(iter(files.values())) if len(files) == 1 and next(iter(files)).startswith(".") else None


def _is_empty_folder(target: Path) -> bool:
    return target.is_dir() and not target.is_symlink() and not any(target.iterdir())


def _is_there(files: Files, target: Path) -> bool:
    """Whether these files are there, and no others."""
    single = _single(files)
    wanted: Mapping[Path, bytes] = {target: single} if single is not None else {target / n: c for n, c in files.items()}
    found = [path for path in target.rglob("*") if path.is_file()] if target.is_dir() else [target]
    there = {path for path in found if path.parent.name != "__pycache__"}  # which a program leaves where it ran
    if there != set(wanted):
        return False
    try:
        return all(read_file(path, _LARGEST) == content for path, content in wanted.items())
    except OSError:
        return False
