"""Runs compared on the same corrupted images: how often each is right on average, in pairs, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np

from fittingroom.audits.corrupted_answers import Robustness
from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES
from fittingroom.evaluation.differences import Difference
from fittingroom.text import amount, interval_of_change, percent, percent_range, points

_NOTE = (
    "Each run answers with all its seeds together, so this is about these trained models: other seeds may differ by "
    "less, or by more."
)


@dataclass(frozen=True, eq=False)
class RobustComparison:
    """What runs make of the same images under all corruptions; printed, it says which differ.

    Args:
        dataset: its name.
        part: which part the images are of.
        runs: by name, two or more, of the same images in the same order.
    """

    dataset: str
    part: Literal["validation", "test"]
    runs: Mapping[str, Robustness]

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str], Difference]:
        """For every two runs the first's mean accuracy less the second's; their intervals hold all at once."""
        together = list(combinations(self.runs, 2))
        return {
            (one, other): Difference.between(
                self.runs[one].share_right[None], self.runs[other].share_right[None], ((0,), (0,))
            ).among(len(together))
            for one, other in together
        }

    @property
    def verdicts(self) -> tuple[str, ...]:
        """For each pair what is shown, in words."""
        said = []
        for (one, other), difference in self.pairs.items():
            ends = [100 * end for end in difference.interval]
            better, worse = (one, other) if difference.value > 0 else (other, one)
            if difference.shown:
                size = points(100 * abs(difference.value))
                between = interval_of_change(ends, points)
                said.append(f"Corrupted, {better} is right more often than {worse}, by {size} points ({between}).")
            else:
                between = " to ".join(points(end, signed=True) for end in ends)
                said.append(
                    f"Corrupted, no difference is shown between {one} and {other}: anything from {between} points "
                    "would fit these images."
                )
        return tuple(said)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """A header and a row for each run: accuracy as the images are, corrupted with its interval, and by severity."""
        header = ("run", "as they are", "corrupted", "95% interval", *(f"at {n}" for n in range(1, SEVERITIES + 1)))
        rows = [(*header, f"refused at {SEVERITIES}")]
        for name, one in self.runs.items():
            each = [percent(one.at(severity)["accuracy"]) for severity in range(1, SEVERITIES + 1)]
            refused = percent(one.at(SEVERITIES)["refused"]) if one.refuses else "-"
            clean = percent(float(np.mean(one.clean.right)))
            rows.append((name, clean, percent(one.accuracy), percent_range(one.interval), *each, refused))
        return tuple(rows)

    @property
    def title(self) -> str:
        """What was compared on."""
        images = next(iter(self.runs.values())).images
        return (
            f"{amount(images, f'{self.part} image')} of {self.dataset} under {len(CORRUPTIONS)} corruptions of "
            f"{SEVERITIES} severities"
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "dataset": self.dataset,
            "part": self.part,
            "runs": {name: one.to_dict() for name, one in self.runs.items()},
            "pairs": [
                {"first": one, "second": other, **difference.to_dict(), "verdict": verdict}
                for ((one, other), difference), verdict in zip(self.pairs.items(), self.verdicts, strict=True)
            ],
            "notes": [_NOTE],
        }

    def __str__(self) -> str:
        return "\n".join([self.title, "", *self.verdicts, f"Note: {_NOTE}"])
