"""What it costs to open the sealed test set for a run, told before it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import StorageError
from fittingroom.evaluation.luck import Reuse
from fittingroom.runs.layout import read_layout
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.looks import Standings
from fittingroom.runs.record import PartResult
from fittingroom.text import amount, percent, points

NO_TEST_SET = (
    "This run has no test set: it was trained on plain arrays or on a dataset without one, or taught by all its photos."
)
"""What to say in place of a test score where a run has no test set."""


@dataclass(frozen=True)
class LookCost:
    """What opening the test set for a run would cost. Nothing was opened to tell it.

    Args:
        dataset: the name of the run's dataset.
        images: the number of test images; 0 where there is no test set.
        looks: the looks at this test set so far, by all runs of this user.
        own: the looks that this run would add, one for each of its seeds without a score; 0 where all have theirs.
        luck: how much of the best score so far is luck, as a share of the images.
        luck_after: the same with the looks that this run would add.
        expected: the run's accuracy on validation images, 0 to 1; None without validation.
        closed: why the test set cannot be opened, in a sentence; None where it can.
    """

    dataset: str
    images: int
    looks: int = 0
    own: int = 0
    luck: float = 0.0
    luck_after: float = 0.0
    expected: float | None = None
    closed: str | None = None

    @classmethod
    def of(cls, run: Path) -> LookCost:
        """The cost for the run in a folder.

        Raises:
            RunError: the folder is not a run, or is damaged.
        """
        records = read_layout(run).records()
        data = next(iter(records.values())).data
        if not data.has_test_set:
            return cls(data.name, 0, closed=NO_TEST_SET)
        images, own = data.counts["test"], sum(not record.has_score for record in records.values())
        accuracy = PartResult.spreads([record.validation for record in records.values()]).get("accuracy")
        expected = None if accuracy is None else accuracy.mean
        try:
            ledger = Ledger.of_user()
            ledger.entries()  # `Standings` would take a ledger that cannot be read for an empty one
        except StorageError as error:
            return cls(data.name, images, own=own, expected=expected, closed=str(error))
        now = Standings(ledger).at(data.test_fingerprint)
        looks = 0 if now is None else now.looks
        mean = expected if now is None or now.mean is None else now.mean
        typical = 0.5 if mean is None else mean  # where nothing is known, what leaves most room for luck

        def luck(count: int) -> float:
            if count < 2:
                return 0.0
            return Reuse(count, None if now is None else now.correlation, typical).luck(typical, images)

        return cls(data.name, images, looks, own, luck(looks), luck(looks + own), expected)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The cost in words: what was looked at so far, what this look adds, and what that does to the best score."""
        return tuple(self._said())

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON, with the sentences."""
        return {**asdict(self), "sentences": list(self.sentences)}

    def _said(self) -> Iterator[str]:
        if self.closed is not None:
            yield self.closed
        elif not self.own:
            yield "This run has its score. Showing it is not another look."
        else:
            yield self._so_far
            if self.own > 1:
                yield (
                    f"This run has {self.own} seeds without a score. Each is a look of its own, since each could be "
                    "picked for its score."
                )
            yield self._afterwards
            if self.expected is not None:
                yield f"On validation images it is right in {percent(self.expected)}; expect about as much here."

    @property
    def _so_far(self) -> str:
        images = amount(self.images, "image")
        if not self.looks:
            return f"No run of yours has been scored on this test set of {images}: this will be the first look."
        luck = f", and about {points(100 * self.luck)} points of the best score are luck" if self.looks > 1 else ""
        return f"This test set of {images} has had {amount(self.looks, 'look')} so far{luck}."

    @property
    def _afterwards(self) -> str:
        after = self.looks + self.own
        if after == 1:
            return "The ledger will count 1 look, for ever. A first score has no luck of choosing in it."
        return (
            f"Afterwards the ledger will count {after:,} looks, for ever, and about "
            f"{points(100 * self.luck_after)} points of the best score will be luck."
        )
