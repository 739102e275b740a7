"""A run's look at its sealed test set: counted before anything is computed, kept with its score after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fittingroom.data.dataset import Dataset, Opening, Part, recorded
from fittingroom.errors import RunError
from fittingroom.evaluation.scores import Scores, TestResult
from fittingroom.runs import looks
from fittingroom.runs.ledger import Counted, Intent, Ledger, recipe_digest
from fittingroom.runs.ledger_reuse import Standings
from fittingroom.runs.lock import holder
from fittingroom.runs.record import RunRecord


def look(path: Path, record: RunRecord, dataset: Dataset, reason: str, score: Callable[[Part], Scores]) -> None:
    """Opens the test set for a run and keeps its score, in the ledger and in the run's own record.

    Args:
        path: the run folder.
        record: what it says.
        dataset: the run's dataset.
        reason: what for.
        score: gives the scores on the opened test set.

    Raises:
        RunError: the run is being trained further.
        StorageError: the ledger or the record cannot be written. Before the intent is in both, nothing is opened.
    """
    if trainer := holder(path) or holder(path.parent):
        raise RunError(f"{path} is being trained further by {trainer}, and would not be what was scored. Wait for it.")
    ledger = Ledger.of_user()
    intent = Intent(
        dataset=dataset.name,
        images=len(dataset.test),
        reason=reason,
        run=str(path.resolve()),
        recipe=record.recipe["name"],
        recipe_digest=recipe_digest(record.recipe),
        seed=record.seed,
    )
    taken: list[tuple[Counted, int]] = []

    def write_intent(opening: Opening) -> None:
        counted = ledger.record_look(opening.fingerprint, intent)
        taken.append((counted, looks.record_opening(path, reason, counted)))

    scores = score(recorded(dataset.test, write_intent).open(reason))
    ((counted, number),) = taken
    # The run first: it is what tells the score again. The ledger has the look already.
    looks.record_score(path, number, scores.to_dict())
    ledger.record_score(counted, scores.correct, scores.count, scores.loss)


def has_score(record: RunRecord) -> bool:
    """Whether a run has looked and kept what it saw."""
    return any(one.score is not None for one in record.looks)


def told(records: Sequence[RunRecord]) -> list[TestResult]:
    """The stored score of each run, the first where there are several, and where its look stands among all looks."""
    standings = Standings()
    results = []
    for record in records:
        stored = next(one for one in record.looks if one.score is not None)
        standing = standings.of(record.data, stored)
        results.append(TestResult(Scores.from_dict(stored.score or {}), stored.reason, standing.look, standing.reuse))
    return results
