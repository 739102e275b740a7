"""Whether the ledger bears out what a run's folder says about its looks: `run.json` can be written by anybody."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import FittingRoomError
from fittingroom.runs.ledger import recipe_digest, summary
from fittingroom.runs.weights import WEIGHTS_NAME, weights_sha256

if TYPE_CHECKING:
    from fittingroom.runs.ledger import LedgerLook
    from fittingroom.runs.record import Look, RunRecord

_WAYS_OUT = "Bring the folder back from a copy, or train again and evaluate that run"


def contradiction(path: Path, record: RunRecord, look: Look, own: LedgerLook | None) -> str | None:
    """Why a look in a run's folder, or its score, is not believed; None where nothing speaks against it.

    Args:
        path: the run folder.
        record: what it says.
        look: one of its looks, which says that it was counted in the user's ledger.
        own: the look there whose hash it has; None if there is none.
    """
    if own is None:
        return (
            f"run.json says that {path} took look {look.number}, and the ledger that it names has no such look: it was "
            f"made up, or the ledger lost entries (`fittingroom ledger --verify` says more). {_WAYS_OUT}."
        )
    return _other_run(path, record, own) or _other_weights(path, own) or _other_score(path, look, own)


def is_of(path: Path, record: RunRecord, own: LedgerLook) -> bool:
    """Whether a look in the ledger is one of a run, by its recipe, seed, test set and weights."""
    try:
        return _other_run(path, record, own) is None and own.intent.weights == weights_sha256(path)
    except (FittingRoomError, OSError):
        return False  # its weights cannot be read


def _other_run(path: Path, record: RunRecord, own: LedgerLook) -> str | None:
    """Whether the look in the ledger is one of another recipe, seed or dataset."""
    intent = own.intent
    different = [
        name
        for name, same in (
            ("recipe", intent.recipe_digest == recipe_digest(record.recipe)),
            ("seed", intent.seed == record.seed),
            ("test set", record.data.test_fingerprint in own.known_as),
        )
        if not same
    ]
    if not different:
        return None
    theirs = f"{intent.run or 'no run'} (recipe {intent.recipe}, seed {intent.seed})"
    return (
        f"the look in run.json of {path} is not its own: in the ledger it is a look of {theirs}. They differ in "
        f"{' and '.join(different)}. {_WAYS_OUT}."
    )


def _other_weights(path: Path, own: LedgerLook) -> str | None:
    if own.intent.weights is None:
        return None  # a look of an older version
    try:
        same = weights_sha256(path) == own.intent.weights
    except (FittingRoomError, OSError) as error:
        return str(error).rstrip(".") + "."
    if same:
        return None
    return (
        f"the weights in {path / WEIGHTS_NAME} are not those that looked at the test set (SHA-256 "
        f"{own.intent.weights[:12]}… in the ledger, by {own.intent.run}): the file was changed or swapped, or the look "
        f"was pasted. {_WAYS_OUT}."
    )


def _other_score(path: Path, look: Look, own: LedgerLook) -> str | None:
    if look.score is None:
        return None
    if own.score is None:
        return (
            f"run.json of {path} has a score for look {own.look}, and the ledger has none: the evaluation was cut off, "
            f"or the score was made up. {_WAYS_OUT}."
        )
    told, kept = summary(look.score), own.score
    names = [name for name in ("correct", "count", "loss", "digest") if name in kept]
    if all(told[name] == kept[name] for name in names) and _fits(look.score):
        return None
    same = all(told[name] == kept[name] for name in ("correct", "count"))
    says = "the loss or other numbers differ" if same else f"run.json says {told['correct']} of {told['count']}"
    return (
        f"the score in run.json of {path} is not the one in the ledger, {kept['correct']} of {kept['count']} right "
        f"(look {own.look}, {own.time[:19]}): {says}. It was edited or pasted. {_WAYS_OUT}."
    )


def _fits(score: Mapping[str, Any]) -> bool:
    """Whether the numbers of a score belong together; those of looks of version 1 have no hash over all of them."""
    confusion, accuracy = score.get("confusion", ()), score.get("accuracy")
    correct, count = score.get("correct"), score.get("count")
    if not count or not isinstance(accuracy, int | float):
        return False
    right = sum(row[index] for index, row in enumerate(confusion) if index < len(row))
    together = (sum(map(sum, confusion)), right) == (count, correct)
    return together and math.isclose(accuracy, right / count, abs_tol=1e-12)
