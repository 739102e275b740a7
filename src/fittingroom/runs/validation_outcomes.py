"""What the kept weights of a run make of its validation images, and whether two runs have the same ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import RunError
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import RunRecord

if TYPE_CHECKING:
    from fittingroom.runs.outcomes import KeptOutcomes, Outcomes

_SAME = 1e-4  # relative: so close are a loss that an older version recorded and the mean of its outcomes


@dataclass(frozen=True, eq=False)
class ValidationOutcomes:
    """A run and its outcomes on the validation images.

    Args:
        path: the run folder.
        record: what it says.
        outcomes: a row for each validated epoch.
        kept: those of the kept weights. A run of an older version has none: then those of the last validated epoch.
        known: whether `kept` is what the kept weights make of the images. It is not known of a run of an older version
            whose record has other numbers than its last validated epoch.
    """

    path: Path
    record: RunRecord
    outcomes: Outcomes
    kept: KeptOutcomes
    known: bool

    @classmethod
    def read(cls, path: Path, purpose: str = "compare runs on them") -> ValidationOutcomes:
        """A run with its outcomes on the validation images.

        Args:
            path: the run folder.
            purpose: what they are for, for the message of an error.

        Raises:
            RunError: it has none, or its folder is missing or damaged.
        """
        files = SeedFiles(path)
        record, outcomes = files.record(), files.outcomes()
        if record.validation is None:
            raise RunError(
                f"{path} has no validation images. Train with some (--validation 0.1, or "
                f"validation_split=0.1 in fit) to {purpose}."
            )
        if outcomes is None or not outcomes.loss.size:
            raise RunError(
                f"{path} stored no outcomes of validation images: an iterable gave them, in no fixed order, or no "
                "epoch was validated. Validate on arrays or a dataset, at least after the last epoch."
            )
        if outcomes.kept is not None:
            return cls(path, record, outcomes, outcomes.kept, known=True)
        last = outcomes.row_as_kept(-1)
        return cls(path, record, outcomes, last, known=_agrees(record, last))

    def difference_of_images(self, other: ValidationOutcomes) -> str | None:
        """In what the validation images of another run differ, in words; None where no difference can be told.

        Plain arrays leave no fingerprint, so that their labels must do.
        """
        one, two = self.record.data, other.record.data
        if one.fingerprint and two.fingerprint:
            if one.fingerprint != two.fingerprint:
                if one.name != two.name:
                    return f"their datasets are {one.name} and {two.name}"
                changed = _lists(one.load) != _lists(two.load)
                how = " by the lists --exclude and --relabel" if changed else ""
                return f"the images or labels of {one.name} were changed between the two{how}"
            if (cuts := self.cut) != (others := other.cut):
                return f"their validation images were cut in different ways ({cuts} and {others})"
        counts = [len(run.outcomes.labels) for run in (self, other)]
        if counts[0] != counts[1]:
            return f"they have {counts[0]:,} and {counts[1]:,} validation images"
        if (self.outcomes.labels != other.outcomes.labels).any():
            return "the labels of their validation images differ"
        return None

    @property
    def cut(self) -> str:
        """How validation images were chosen, where their labels do not tell.

        Cuts of other sizes differ in their labels; but a folder of pictures may bring validation images of its own, as
        many as would have been cut.
        """
        arguments = dict(self.record.data.load or {})
        seed = f"split seed {arguments.get('split_seed', 0)}"
        if str(arguments.get("name", "")).startswith("folder:"):
            return f"{seed}, validation {arguments.get('validation')}"
        return seed

    @staticmethod
    def why_not_finite(path: Path, record: RunRecord) -> str | None:
        """Why the validation numbers of a run are not a result, in a sentence or two: its loss is not finite.

        None where it is, and where there are no validation images. The outcomes are read only where it is not.
        """
        validation = record.validation
        if validation is None or validation.loss is not None:
            return None
        try:
            nan = int(sum(math.isnan(loss) for loss in ValidationOutcomes.read(path).kept.loss.tolist()))
        except RunError:
            nan = 0
        if not nan:
            return "The validation loss is infinite: an image's class got the probability 0."
        return (
            f"The model gives NaN for {nan:,} of {validation.count:,} validation images: it diverged, and its accuracy "
            "says nothing, since NaN counts as the first class. Train again with a smaller learning rate and images "
            "scaled to 0 to 1."
        )


def _agrees(record: RunRecord, last: KeptOutcomes) -> bool:
    """Whether the record of an older version has the numbers of the last validated epoch."""
    validation = record.validation
    if (
        validation is None
        or validation.accuracy is None
        or round(validation.accuracy * validation.count) != int(last.right.sum())
    ):
        return False
    loss = last.mean_loss
    if validation.loss is None:
        return not math.isfinite(loss)
    return math.isclose(loss, validation.loss, rel_tol=_SAME, abs_tol=1e-6)


def _lists(load: Any) -> list[Any]:
    """What reviewed lists changed of a run's data."""
    return [dict(load or {}).get(name) for name in ("exclude", "relabel")]
