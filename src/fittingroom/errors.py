"""Every error that Fitting Room raises on purpose.

    FittingRoomError            exit status 1
    ├── InputError              exit status 2: what the user gave is wrong, and the message says how to mend it
    │   ├── UnknownNameError    a name that is not in a known list
    │   ├── DataError           images, labels or files that cannot be a dataset
    │   │   └── DatasetNotFoundError    none of the places where a dataset is looked for has it
    │   ├── RecipeError         a recipe, a setting of one, or a stop condition
    │   ├── ModelError          a model that does not fit the data, or that the engine refuses
    │   │   └── LabelRangeError     labels that no output of the model stands for
    │   └── RunError            a run folder that is missing, damaged or of another format
    ├── StorageError            the disk is full, or a folder cannot be written
    └── DivergedError           the loss became NaN or infinite

A message has three parts in this order: what arrived, what was expected, how to mend it.
`Interrupted` is a KeyboardInterrupt (exit status 130) that says where the finished epochs are kept.
`exit_status` is the one place where errors become exit statuses.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class FittingRoomError(Exception):
    """The base of every error that Fitting Room raises on purpose."""


class InputError(FittingRoomError, ValueError):
    """What the user gave is wrong; the message says what arrived, what was expected and how to mend it."""


class UnknownNameError(InputError):
    """A name that is not among the known ones; the message lists them, the nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        nearest = difflib.get_close_matches(name, self.known, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(self.known)}.")


class DataError(InputError):
    """Images, labels or files that cannot be a dataset."""


class DatasetNotFoundError(DataError):
    """None of the places where a dataset is looked for has it."""


class RecipeError(InputError):
    """A recipe, one of its settings, or a stop condition is wrong."""


class ModelError(InputError):
    """A model that does not fit the data, or that the engine refuses to train."""


class LabelRangeError(ModelError):
    """The labels name classes that no output stands for, and Keras on JAX would train on them without a word."""


class RunError(InputError):
    """A run folder that is missing, damaged, or written by a newer version."""


class StorageError(FittingRoomError):
    """The disk is full, or a folder cannot be written."""


class DivergedError(FittingRoomError):
    """The training loss became NaN or infinite."""


class Interrupted(KeyboardInterrupt):
    """Training was interrupted; `path` is the run folder of the finished epochs, or None when there were none."""

    def __init__(self, message: str, path: Path | None) -> None:
        super().__init__(message)
        self.path = path


def missing_extra(what: str, extra: str) -> InputError:
    """The error where `what` needs a package of an extra that is not installed."""
    return InputError(f"{what} needs the extra {extra}: pip install 'fittingroom[{extra}]'")


def exit_status(error: BaseException) -> int:
    """The exit status of the command line for an error: 2 wrong input, 130 interrupted, 1 anything else."""
    if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG):
        return 2
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 1
