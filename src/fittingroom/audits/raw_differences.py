"""What differs between the parts of a dataset, and what of a picture file tells its class.

All tests of an audit share an error of 1%, by Holm's method, and a difference is reported only where it is large
enough to matter too: with 55,000 images any difference is significant. Of the test part nothing is read but the counts
that every sealed test set gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from fittingroom.audits.image_properties import WORDS
from fittingroom.audits.raw_measures import MeasuredPart
from fittingroom.data.dataset import Dataset
from fittingroom.text import number, percent, word_list

ERROR = 0.01
"""The probability of telling any difference where there is none."""

_DISTANCE = 0.1  # Kolmogorov-Smirnov
_ASSOCIATION = 0.1  # Cramér's V of the parts and the shares of classes in them
_TELLS = 0.3  # Cramér's V of file format and class
_EXPLAINS = 0.2  # epsilon squared: the share of the variance of ranks that classes explain
_LEAST = 20  # images on each side of a comparison
_COCHRAN = 5  # expected images in each cell of a table


@dataclass(frozen=True)
class PartComparison:
    """A comparison that was made.

    Args:
        test: what was compared.
        sentence: the difference in words.
        p: of the test, 0 to 1.
        effect: how large the difference is, 0 to 1.
        matters_from: from which effect on it is reported.
    """

    test: str
    sentence: str
    p: float
    effect: float
    matters_from: float

    @classmethod
    def all_of(cls, data: Dataset, parts: Sequence[MeasuredPart]) -> list[PartComparison]:
        """Those that the data allow: of the parts, and of the files of the training part."""
        made = [*_class_shares(data), *_measures(parts), *_files(data, parts[0])]
        return [one for one in made if np.isfinite(one.p) and np.isfinite(one.effect)]

    @staticmethod
    def shown(made: Sequence[PartComparison]) -> list[PartComparison]:
        """Those whose difference is significant, by Holm's method, and large enough to matter; the surest first."""
        found = []
        for place, one in enumerate(sorted(made, key=lambda one: one.p)):
            if one.p > ERROR / (len(made) - place):
                break
            if one.effect >= one.matters_from:
                found.append(one)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Its numbers as JSON types."""
        return {name: value for name, value in asdict(self).items() if name != "sentence"}


def _class_shares(data: Dataset) -> Iterator[PartComparison]:
    parts: dict[str, Any] = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = {name: part.counts() for name, part in parts.items() if part is not None and len(part) >= _LEAST}
    if len(counts) > 1:
        table = np.array([*counts.values()])
        p, effect = _association(table)
        shares = table / table.sum(axis=1, keepdims=True)
        most = int(np.argmax(np.ptp(shares, axis=0)))
        each = word_list(f"{percent(share, 0)} of {name}" for name, share in zip(counts, shares[:, most], strict=True))
        sentence = f"The classes have other shares in the parts: {data.classes[most]} is {each} images."
        yield PartComparison("class shares", sentence, p, effect, _ASSOCIATION)


def _measures(parts: Sequence[MeasuredPart]) -> Iterator[PartComparison]:
    if len(parts) < 2 or min(len(one.part) for one in parts) < _LEAST:
        return
    for name, train in parts[0].properties.items():
        held_out = parts[1].properties.get(name)
        if held_out is None:
            continue
        test = stats.ks_2samp(train, held_out, method="asymp")
        written = WORDS[name].written
        sentence = (
            f"Validation images differ from training images in {name}: {written(float(np.median(held_out)))} in the "
            f"median, against {written(float(np.median(train)))}."
        )
        yield PartComparison(name, sentence, float(test.pvalue), float(test.statistic), _DISTANCE)


def _files(data: Dataset, train: MeasuredPart) -> Iterator[PartComparison]:
    """Whether what a file is, and not what it shows, tells its class."""
    labels = train.part.labels
    if len(labels) < _LEAST or not len(train.sizes):
        return
    endings = np.array([Path(name).suffix.lower().replace(".jpeg", ".jpg") for name in train.part.files])
    kinds, which = np.unique(endings, return_inverse=True)
    table = np.zeros((len(kinds), len(data.classes)), np.int64)
    np.add.at(table, (which, labels), 1)
    p, effect = _association(table[table.sum(axis=1) >= _LEAST])
    sentence = f"The format of a file tells something of its class: the shares of {word_list(kinds)} differ."
    yield PartComparison("file format", sentence, p, effect, _TELLS)
    height, width, size = train.sizes.T
    for name, unit, values in (("picture size", "pixels", height * width), ("file size", "bytes", size)):
        groups = [values[labels == label] for label in range(len(data.classes)) if (labels == label).sum() > 1]
        if len(groups) < 2 or len(np.unique(np.concatenate(groups))) < 2:
            continue
        statistic, p = stats.kruskal(*groups)
        effect = (statistic - len(groups) + 1) / max(sum(map(len, groups)) - len(groups), 1)
        medians = [float(np.median(group)) for group in groups]
        sentence = (
            f"The {name} tells something of the class: classes explain {percent(effect, 0)} of its variation, with "
            f"medians from {number(min(medians))} to {number(max(medians))} {unit}."
        )
        yield PartComparison(name, sentence, float(p), float(effect), _EXPLAINS)


def _association(table: npt.NDArray[Any]) -> tuple[float, float]:
    """The p of the chi-squared test of a table of counts, and Cramér's V; NaN where there is nothing to compare.

    Columns of which some row should have fewer than five are taken together, since the test is not valid for them
    (Cochran 1954).
    """
    table = table[table.sum(axis=1) > 0]
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / max(table.sum(), 1)
    few = (expected < _COCHRAN).any(axis=0)
    table = np.column_stack([table[:, ~few], table[:, few].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return float("nan"), float("nan")
    found = stats.chi2_contingency(table, correction=False)
    return float(found.pvalue), float(np.sqrt(found.statistic / (table.sum() * (min(table.shape) - 1))))
