"""Where a run's test score stands among all looks at its test set, as the user's ledger tells it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fittingroom.errors import FittingRoomError, StorageError
from fittingroom.evaluation.luck import Reuse, mean_correlation
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_check import contradiction, is_of
from fittingroom.runs.ledger_entries import LedgerLook, looks_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fittingroom.runs.record import Look, RunRecord

_log = logging.getLogger("fittingroom")
_MOST_COMPARED = 20  # runs; each one's outcomes are a file of some hundred kilobytes


class Standing(NamedTuple):
    """A look among the others.

    Args:
        look: which look at its test set it was, counted from 1; None if the ledger does not have it.
        reuse: all looks at the test set so far that told something new, this one among them.
        problem: why the look or its score is not believed, in words; None where nothing speaks against it.
        elsewhere: whether another ledger counted it, so that it cannot be checked here.
    """

    look: int | None
    reuse: Reuse
    problem: str | None = None
    elsewhere: bool = False


@dataclass
class Standings:
    """The looks in a ledger, read once.

    A score that a run has already needs no opening, so a ledger that cannot be read is said, and taken as empty.
    """

    ledger: Ledger = field(default_factory=Ledger.of_user)
    _correlations: dict[str, float | None] = field(default_factory=dict)

    @property
    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str, list[LedgerLook]]:
        """The ledger's id, empty where there is no ledger, and its looks."""
        try:
            ledger, entries = self.ledger.entries()
            return ledger, looks_of(entries, self.ledger.path)
        except StorageError as error:
            _log.warning("The look cannot be placed among the others: %s", error)
            return "", []

    def of(self, path: Path, record: RunRecord, look: Look) -> Standing:
        """Where a look of a run stands, and whether the ledger bears it out.

        Args:
            path: the run folder.
            record: what it says.
            look: one of its looks.
        """
        ledger, looks = self._read
        own = next((one for one in looks if one.hash == look.hash), None)
        test_set = record.data.test_fingerprint
        same = [one for one in looks if test_set in one.known_as]
        told = sum(one.is_new for one in same) + (own is None)
        reuse = Reuse(told)
        if told > 1:
            reuse = Reuse(told, self._correlation(same), mean_accuracy(same, look if own is None else None))
        elsewhere = own is None and look.ledger != ledger
        problem = None if elsewhere or not ledger else contradiction(path, record, look, own)
        return Standing(None if own is None else own.look, reuse, problem, elsewhere)

    def scored(self, path: Path, record: RunRecord) -> tuple[Look, Standing] | None:
        """The latest look of a run that has a score, and where it stands; None where there is none."""
        look = next((one for one in reversed(record.looks) if one.score is not None), None)
        return None if look is None else (look, self.of(path, record, look))

    def unrecorded(self, path: Path, record: RunRecord) -> LedgerLook | None:
        """The latest look of a run's recipe, seed and weights that its folder does not record; None where none is."""
        recorded = {look.hash for look in record.looks}
        return next(
            (look for look in reversed(self.looks) if look.hash not in recorded and is_of(path, record, look)), None
        )

    def _correlation(self, looks: list[LedgerLook]) -> float | None:
        test_set = looks[0].test_set if looks else ""
        if test_set not in self._correlations:
            self._correlations[test_set] = _correlation([one for one in looks if not one.repeats])
        return self._correlations[test_set]


def mean_accuracy(looks: Iterable[LedgerLook], own: Look | None = None) -> float | None:
    """The mean accuracy, 0 to 1, of the looks that told something new, and of one that the ledger does not have.

    Looks without a score are left out; None where no score is known.
    """
    scores = [look.score for look in looks if look.score is not None and not look.repeats]
    known = [score["correct"] / score["count"] for score in scores if score["count"]]
    known += [own.score["accuracy"]] if own is not None and own.score is not None else []
    believable = [accuracy for accuracy in known if 0 <= accuracy <= 1]  # a file that somebody edited holds anything
    return sum(believable) / len(believable) if believable else None


def _correlation(looks: list[LedgerLook]) -> float | None:
    """Between the newest runs that looked and can still be read, on the images that they were validated on."""
    folders = dict.fromkeys(look.intent.run for look in reversed(looks) if look.intent.run is not None)
    found = [_right_or_wrong(Path(folder)) for folder in list(folders)[:_MOST_COMPARED]]
    known = [one for one in found if one is not None]
    return mean_correlation([right for images, right in known if images == known[0][0]])


def _right_or_wrong(run: Path) -> tuple[Any, npt.NDArray[np.bool_]] | None:
    """What tells a run's validation images from others, and about which of them it was right in the end."""
    from fittingroom.runs.store import read_validated

    try:
        validated = read_validated(run)
    except (FittingRoomError, OSError):
        return None  # moved, deleted or damaged since
    data, kept = validated.record.data, validated.kept
    load = dict(data.load or {})
    images = (data.fingerprint, load.get("validation"), load.get("split_seed"), kept.labels.tobytes())
    return images, kept.right
