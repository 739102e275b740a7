"""The validation images that runs have in common, where reviewed lists left out or relabelled some for one of them.

Without that, nobody could compare a training with a list and without. Where two runs give an image different labels, it
is left out: each would be scored by its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import DataError
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import amount

_LISTS = ("exclude", "relabel")


@dataclass(frozen=True, eq=False)
class SharedImages:
    """Validation images that several runs share, with the same label.

    Args:
        rows: for each run, which of its validation images they are, in the same order for all, `(n,)`.
        note: how many they are, and why not all.
    """

    rows: tuple[npt.NDArray[np.int64], ...]
    note: str

    @classmethod
    def of(cls, runs: Sequence[ValidationOutcomes]) -> SharedImages | None:
        """Those of some runs; None where all have the same, where more than lists differs, or none is shared."""
        if all(runs[0].difference_of_images(one) is None for one in runs) or not any(map(_lists, runs)):
            return None
        places = [_places(one) for one in runs]
        if any(one is None for one in places) or len({_source(one) for one in runs}) > 1:
            return None
        known = [one for one in places if one is not None]
        if len({count for count, _ in known}) > 1:
            return None
        shared = reduce(np.intersect1d, [of_run for _, of_run in known])
        rows = [np.searchsorted(of_run, shared) for _, of_run in known]
        labels = np.stack([one.outcomes.labels[chosen] for one, chosen in zip(runs, rows, strict=True)])
        same = (labels == labels[0]).all(axis=0)
        if not same.any():
            return None
        left_out = known[0][0] - int(same.sum())
        note = (
            f"Reviewed lists changed the validation images of some runs. They are compared on the "
            f"{amount(int(same.sum()), 'image')} that all have with the same label; {left_out:,} are left out."
        )
        return cls(tuple(chosen[same] for chosen in rows), note)


def _lists(one: ValidationOutcomes) -> list[Any]:
    """What a run recorded of its lists."""
    load = one.record.data.load or {}
    return [load[name] for name in _LISTS if name in load]


def _source(one: ValidationOutcomes) -> tuple[str, str]:
    """The fingerprint of a run's data as the files have them, and how validation was cut from them."""
    lists = _lists(one)
    return (lists[0].get("files", "") if lists else one.record.data.fingerprint), one.cut


def _places(one: ValidationOutcomes) -> tuple[int, npt.NDArray[np.int64]] | None:
    """How many images are held out without a list, and which of them a run has; None where that is not known."""
    from fittingroom.data.listed_changes import read_positions

    count = len(one.outcomes.labels)
    text = (one.record.data.load or {}).get("exclude", {}).get("validation", "")
    try:
        gone = read_positions(text, _most(text, count))
    except DataError:
        return None
    total = count + len(gone)
    if len(gone) and gone[-1] >= total:
        return None
    return total, np.setdiff1d(np.arange(total), gone)


def _most(text: str, count: int) -> int:
    """From which position on there can be no image: a record from elsewhere may name any."""
    ends = [int(one.rpartition("-")[2]) for one in text.split() if len(one) < 40]
    return min(max(ends, default=0) + 1, 10 * count + 1000)
