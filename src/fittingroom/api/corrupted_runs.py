"""`compare_corrupted`: runs side by side on images that corruptions made worse, of validation or of the test part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.api.open_runs import compare, open_run
from fittingroom.api.openings import recorded
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.corrupted_answers import FEWEST, FORMS, Robustness
from fittingroom.audits.model_images import ModelImages
from fittingroom.audits.robust_comparison import RobustComparison
from fittingroom.errors import DataError, InputError, RunError
from fittingroom.text import amount

if TYPE_CHECKING:
    from fittingroom.api.run import Run


def compare_corrupted(
    runs: Sequence[str | Path | Run], *, look: str | None = None, progress: ShownProgress | None = None
) -> RobustComparison:
    """Compares runs on the same images under fifteen corruptions of five severities, in pairs.

    Args:
        runs: two or more, as `compare` takes them, of one dataset and one split.
        look: why the sealed test set is opened for this, for the ledger: all runs and all corruptions together are one
            look. None stays with the validation images, and opens nothing.
        progress: told what is done; None for a bar on a terminal.

    Raises:
        UnknownNameError: there is no such run.
        RunError: a run is damaged, or its dataset is not known or not the same any more.
        InputError: the runs cannot be compared, as `compare` says, or there are too few images.
        DataError: `look` is empty.
        StorageError: the look cannot be recorded; the test set then stays closed.
    """
    names = compare(runs).names  # refuses what cannot be compared
    opened = [open_run(run) if isinstance(run, str | Path) else run for run in runs]
    dataset = recorded(opened[0][0].record.data.load_again())
    asked = [ModelImages(run.predictor, dataset.scale) for run in opened]
    for one in asked:
        _check_answers(one)
    if any(run.predictor.data.test_fingerprint != dataset.test.fingerprint for run in opened):
        raise InputError("these runs have different test sets. Compare runs of one dataset.")
    if look is not None and not look.strip():
        raise DataError("the test set would be opened without a reason. Say what it is for: look='...'.")
    part = dataset.validation if look is None else None
    count = len(dataset.test) if look is not None else len(part) if part is not None else 0
    if count < FEWEST:
        raise InputError(f"{amount(count, 'image')} are too few to compare on; {FEWEST} are the fewest.")
    with progress or ShownProgress.usual() as shown:
        if part is None:
            part = dataset.test.open(look or "")
        # The images that the slowest of them has time for, so that all see the same.
        chosen = min((one.chosen(part, FORMS) for one in asked), key=len)
        found = {}
        for place, (name, run) in enumerate(zip(names, opened, strict=True), 1):
            shown.begin(name, place, len(opened))
            found[name] = Robustness.of(run.predictor, part, shown, chosen=chosen)
    return RobustComparison(dataset.name, "validation" if look is None else "test", found)


def _check_answers(asked: ModelImages) -> None:
    """Raises RunError where a model cannot be asked, before a test set is opened for it."""
    if asked.why_not is not None:
        raise RunError(asked.why_not)
    asked.numbers(np.zeros((1, *asked.predictor.data.picture_shape), np.uint8))
