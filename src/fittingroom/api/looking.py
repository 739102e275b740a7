"""A run's look at its sealed test set: counted before anything is computed, kept with its score after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fittingroom.data.dataset import Dataset, Opening, Part, recorded
from fittingroom.data.load import load
from fittingroom.data.npz import array_names
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.scores import Scores, TestResult
from fittingroom.runs import looks
from fittingroom.runs.ledger import Counted, Intent, Ledger, recipe_digest
from fittingroom.runs.ledger_reuse import Standings
from fittingroom.runs.lock import holder
from fittingroom.runs.record import RunRecord
from fittingroom.runs.weights import weights_sha256

_log = logging.getLogger("fittingroom")


def look(
    path: Path,
    record: RunRecord,
    dataset: Dataset,
    reason: str,
    score: Callable[[Part], Scores],
    together: str | None = None,
) -> None:
    """Opens the test set for a run and keeps its score, in the ledger and in the run's own record.

    Args:
        path: the run folder.
        record: what it says.
        dataset: the run's dataset.
        reason: what for.
        score: gives the scores on the opened test set.
        together: what the other seeds have in common that are scored in the same look; None for a look by itself.

    Raises:
        RunError: the run is being trained further.
        StorageError: the ledger or the record cannot be written. Before the intent is in both, nothing is opened.
    """
    if trainer := holder(path) or holder(path.parent):
        raise RunError(f"{path} is being trained further by {trainer}, and would not be what was scored. Wait for it.")
    ledger = Ledger.of_user()
    intent = replace(intent_of(path, record, dataset.name, len(dataset.test), reason), together=together)
    taken: list[tuple[Counted, int]] = []

    def write_intent(opening: Opening) -> None:
        looks.check_writable(path)  # else a look would be counted, and nothing opened
        counted = ledger.record_look(opening.source_fingerprint, intent)
        taken.append((counted, looks.record_opening(path, reason, counted)))

    stored = score(recorded(dataset.test, write_intent).open(reason)).to_dict()
    ((counted, number),) = taken
    # The ledger first: a score that only the run has would be one that nobody can vouch for.
    ledger.record_score(counted, stored)
    looks.record_score(path, number, stored)


def intent_of(path: Path, record: RunRecord, dataset: str, images: int, reason: str) -> Intent:
    """What the ledger keeps of a run that is about to look.

    Args:
        path: the run folder.
        record: what it says.
        dataset: the name under which the test images were loaded.
        images: how many there are.
        reason: what for.
    """
    return Intent(
        dataset=dataset,
        images=images,
        reason=reason,
        run=str(path.resolve()),
        recipe=record.recipe["name"],
        recipe_digest=recipe_digest(record.recipe),
        seed=record.seed,
        weights=weights_sha256(path),
        fingerprint=record.data.test_fingerprint,
    )


def has_score(record: RunRecord) -> bool:
    """Whether a run has looked and kept what it saw."""
    return any(one.score is not None for one in record.looks)


def told(runs: Sequence[tuple[Path, RunRecord]]) -> list[TestResult]:
    """The stored score of each run, the latest where there are several, and where its look stands among all looks.

    Args:
        runs: the folder of each, and what it says.

    Raises:
        RunError: the ledger contradicts a score.
    """
    standings = Standings()
    results = []
    for path, record in runs:
        found = standings.scored(path, record)
        if found is None:
            raise RunError(f"{path} has no score on its test set.")
        stored, standing = found
        if standing.problem is not None:
            raise RunError(f"The test score is not believed: {standing.problem}")
        results.append(TestResult(Scores.from_dict(stored.score or {}), stored.reason, standing.look, standing.reuse))
    return results


def count_test_part(runs: Sequence[tuple[Path, RunRecord]], path: Path) -> None:
    """Counts a look where a file to predict is an NPZ dataset whose test part is the runs' own test set.

    Its labels are in the file, so that whoever has the predictions has the score.

    Args:
        runs: the folder of each run that is asked, and what it says.
        path: the file.

    Raises:
        StorageError: the ledger cannot be written.
    """
    try:
        names = set(array_names(path))
        if not (names & {"x_test", "test_images"} and names & {"y_test", "test_labels"}):
            return
        dataset = load(f"npz:{path}")
    except (DataError, OSError):
        return  # no dataset, so that its test part is none
    ledger = Ledger.of_user()
    for folder, record in runs:
        if record.data.test_fingerprint != dataset.test.fingerprint:
            continue
        _log.warning("%s has the run's own sealed test set: predicting it is a look, which the ledger counts.", path)
        intent = intent_of(folder, record, dataset.name, len(dataset.test), f"predict {path.name}")
        recorded(dataset.test, partial(_record, ledger, intent)).open(intent.reason)


def _record(ledger: Ledger, intent: Intent, opening: Opening) -> None:
    ledger.record_look(opening.source_fingerprint, intent)
