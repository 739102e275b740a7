"""Where a run's test score stands among all looks at its test set, as the user's ledger tells it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fittingroom.errors import FittingRoomError, StorageError
from fittingroom.evaluation.luck import Reuse, mean_correlation
from fittingroom.runs.ledger import Ledger, LedgerLook

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fittingroom.runs.record import DataRecord, Look

_log = logging.getLogger("fittingroom")
_MOST_COMPARED = 20  # runs; each one's outcomes are a file of some hundred kilobytes


class Standing(NamedTuple):
    """A look among the others.

    Args:
        look: which look at its test set it was, counted from 1; None if the ledger does not have it.
        reuse: all looks at the test set so far, this one among them.
    """

    look: int | None
    reuse: Reuse


@dataclass
class Standings:
    """The looks in a ledger, read once.

    A score that a run has already needs no opening, so a ledger that cannot be read is said, and taken as empty.
    """

    ledger: Ledger = field(default_factory=Ledger.of_user)
    _correlations: dict[str, float | None] = field(default_factory=dict)

    @cached_property
    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first."""
        try:
            return self.ledger.looks()
        except StorageError as error:
            _log.warning("The look cannot be placed among the others: %s", error)
            return []

    def of(self, data: DataRecord, look: Look) -> Standing:
        """Where a look of a run stands.

        Args:
            data: what the run was trained on.
            look: one from its record.
        """
        same = [one for one in self.looks if one.test_set == data.test_fingerprint]
        number = next((one.look for one in same if one.hash == look.hash), None)
        looks = len(same) + (number is None)
        return Standing(number, Reuse(looks, self._correlation(data.test_fingerprint, same) if looks > 1 else None))

    def _correlation(self, test_set: str, looks: list[LedgerLook]) -> float | None:
        if test_set not in self._correlations:
            self._correlations[test_set] = _correlation(looks)
        return self._correlations[test_set]


def _correlation(looks: list[LedgerLook]) -> float | None:
    """Between the newest runs that looked and can still be read, on the images that they were validated on."""
    folders = dict.fromkeys(look.intent.run for look in reversed(looks) if look.intent.run is not None)
    found = [_right_or_wrong(Path(folder)) for folder in list(folders)[:_MOST_COMPARED]]
    known = [one for one in found if one is not None]
    return mean_correlation([right for images, right in known if images == known[0][0]])


def _right_or_wrong(run: Path) -> tuple[Any, npt.NDArray[np.bool_]] | None:
    """What tells a run's validation images from others, and about which of them it was right in the end."""
    from fittingroom.runs.kept import read_validated

    try:
        kept = read_validated(run)
    except (FittingRoomError, OSError):
        return None  # moved, deleted or damaged since
    data, outcomes = kept.record.data, kept.outcomes
    load = dict(data.load or {})
    images = (data.fingerprint, load.get("validation"), load.get("split_seed"), outcomes.labels.tobytes())
    row = -1 if kept.row is None else kept.row  # other weights than those of any epoch are much like the last one's
    return images, outcomes.predicted[row] == outcomes.labels
