"""What a run's kept weights made of its validation images, as far as its folder tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import RunError
from fittingroom.runs.history import History
from fittingroom.runs.record import RunRecord
from fittingroom.runs.store import read_history, read_outcomes, read_record

if TYPE_CHECKING:
    from fittingroom.runs.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Validated:
    """A run and its outcomes on the validation images.

    Args:
        path: the run folder.
        record: what it says.
        outcomes: a row for each validated epoch.
        row: the row that belongs to the kept weights; None if none does, because other weights were put in their place
            after the last epoch, or because they are asked for the mean over several views.
    """

    path: Path
    record: RunRecord
    outcomes: Outcomes
    row: int | None


def read_validated(path: Path, purpose: str = "compare runs on them") -> Validated:
    """A run with its outcomes on the validation images.

    Args:
        path: the run folder.
        purpose: what they are for, for the message of an error.

    Raises:
        RunError: it has none, or its folder is missing or damaged.
    """
    record, outcomes = read_record(path), read_outcomes(path)
    if record.validation is None:
        raise RunError(
            f"{path} has no validation images. Train with some (--validation 5000, or validation_data) to {purpose}."
        )
    if outcomes is None:
        raise RunError(
            f"{path} kept nothing of its validation images: an iterable gave them, in no fixed order, or no epoch was "
            "validated. Give arrays or a dataset to validate on, after the last epoch at least."
        )
    return Validated(path, record, outcomes, _kept_row(record, read_history(path), outcomes))


def _kept_row(record: RunRecord, history: History, outcomes: Outcomes) -> int | None:
    """The last validated epoch with the loss and the number of right answers that the record gives the kept weights.

    The loss is compared as the history has it: that of a model of the user's own need not be the outcomes' mean.
    """
    validation, losses = record.validation, history.get("val_loss", [])
    if validation is None or validation.accuracy is None or len(losses) != len(outcomes.loss):
        return None
    right = round(validation.accuracy * validation.count)
    for row in reversed(range(len(losses))):
        if _same(losses[row], validation.loss) and int((outcomes.predicted[row] == outcomes.labels).sum()) == right:
            return row
    return None


def _same(loss: float, recorded: float | None) -> bool:
    """Whether two losses are one number; a record has none for NaN and infinity."""
    if recorded is None:
        return not math.isfinite(loss)
    return math.isclose(loss, recorded, rel_tol=1e-6)


def other_images(first: Validated, second: Validated) -> str | None:
    """In what the validation images of two runs differ, in words; None where they are the same as far as can be told.

    Plain arrays leave no fingerprint, so that their labels must do.
    """
    one, other = first.record.data, second.record.data
    if one.fingerprint and other.fingerprint:
        if one.fingerprint != other.fingerprint:
            if one.name != other.name:
                return f"their datasets are {one.name} and {other.name}"
            return f"the images or labels of {one.name} were changed between the two"
        if (cuts := _cut(one.load)) != (others := _cut(other.load)):
            return f"their validation images were cut in different ways ({cuts} and {others})"
    counts = [len(run.outcomes.labels) for run in (first, second)]
    if counts[0] != counts[1]:
        return f"they have {counts[0]:,} and {counts[1]:,} validation images"
    if (first.outcomes.labels != second.outcomes.labels).any():
        return "the labels of their validation images differ"
    return None


def _cut(load: Any) -> str:
    """How validation images were chosen, where their labels do not tell.

    Cuts of other sizes differ in their labels; but a folder of pictures may bring validation images of its own, as many
    as would have been cut.
    """
    arguments = dict(load or {})
    seed = f"split seed {arguments.get('split_seed', 0)}"
    if str(arguments.get("name", "")).startswith("folder:"):
        return f"{seed}, validation {arguments.get('validation')}"
    return seed
