"""Groups of images for which a run is worse than elsewhere: sought on one half of the images, confirmed on the other.

Where it is sought everything may be tried, since nothing is claimed from there: each class, each pair of a class and
what it is taken for, each range of each property, among all images and within a class, and each cluster of features.
What stands out most goes to the other half, which had no part in the choice; there each group is tested exactly. Then
the halves change places. All tests are corrected for the number of groups that came that far, both ways together
(Bonferroni). The numbers reported of a group are of the half that confirmed it, so they are not the luck of having been
chosen.

Ranges of a property and clusters are compared within classes (`GroupGap`), so that none is reported only for having
more images of a difficult class.

Related: Chung et al., Automated Data Slicing for Model Validation (Slice Finder), arXiv 1807.06068; Sagadeeva and
Boehm, SliceLine, SIGMOD 2021; Eyuboglu et al., Domino, ICLR 2022 (arXiv 2203.14960). None of them tests on images that
the search has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.audits.group_gap import Flags, Floats, GroupGap, Integers
from fittingroom.evaluation.spread import SHOWN_BELOW
from fittingroom.seeds import generator

Kind = Literal["class", "confusion", "property", "cluster"]

_LEAST = 10  # images of a group in either half
_LEAST_SHARE = 0.02  # of the half
_MOST_SHARE = 0.5  # of all images, or of a class, that a range of a property may hold
_STEPS = 50  # quantiles at which ranges among all images begin and end
_CLASS_STEPS = 10
_LEAST_Z = 2.0  # where it is sought, below which a group is not tested
_SEARCHED = 4 / 3  # times the gap at which the test alone is enough: a range has to be found first (simulated)
_ALIKE = 0.6  # share of the images of two groups together that is in both, from which they are much the same
_TESTED: Mapping[Kind, int] = {"class": 6, "confusion": 6, "property": 10, "cluster": 4}
_TESTED_IN_CLASS = 6


@dataclass(frozen=True, eq=False)
class SliceData:
    """What is known of the images that are searched.

    Args:
        labels: true class, `(images,)`.
        predicted: by each seed, `(seeds, images)`.
        classes: how many there are.
        properties: numbers for each image, by the property's name, `(images,)`; may be empty.
        clusters: the cluster of each image; empty where there are none.
    """

    labels: Integers
    predicted: Integers
    classes: int
    properties: Mapping[str, Floats]
    clusters: Integers

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self.predicted)

    @property
    def wrong(self) -> npt.NDArray[np.int64]:
        """How many of the seeds are wrong about each image, `(images,)`."""
        return np.asarray((self.predicted != self.labels).sum(axis=0), np.int64)


@dataclass(frozen=True)
class ImageSlice:
    """A group of images.

    Args:
        kind: how it is defined.
        label: the class that its images are of; None where they may be of any.
        taken_for: of a confusion, the class that they are taken for.
        name: of the property; empty for other kinds.
        low: smallest value of the property in it, included; None for no lower limit.
        high: the largest; None for no upper limit.
        cluster: number of the cluster; None for other kinds.
    """

    kind: Kind
    label: int | None = None
    taken_for: int | None = None
    name: str = ""
    low: float | None = None
    high: float | None = None
    cluster: int | None = None

    def members(self, data: SliceData) -> Flags:
        """Whether each image is in the group, `(images,)`."""
        found = np.ones(len(data.labels), np.bool_)
        if self.label is not None:
            found &= data.labels == self.label
        if self.cluster is not None:
            found &= data.clusters == self.cluster
        if self.name:
            values = data.properties[self.name]
            found &= (values >= (-np.inf if self.low is None else self.low)) & (
                values <= (np.inf if self.high is None else self.high)
            )
        return found

    def gap(self, data: SliceData, chosen: Flags) -> GroupGap | None:
        """How much worse the run is for it, among some of the images."""
        member, labels = self.members(data), data.labels
        if self.taken_for is not None:
            # Is this class taken for the other more often than the remaining classes are?
            chosen = chosen & (labels != self.taken_for)
            taken = (data.predicted[:, chosen] == self.taken_for).sum(axis=0)
            return GroupGap.of(taken, data.seeds, member[chosen], np.zeros(int(chosen.sum()), np.int64))
        strata = np.zeros(len(labels), np.int64) if self.kind == "class" else labels
        return GroupGap.of(data.wrong[chosen], data.seeds, member[chosen], strata[chosen])


@dataclass(frozen=True, eq=False)
class ConfirmedSlice:
    """A group for which the run is worse, with the numbers of the half that had no part in finding it.

    Args:
        group: which images.
        gap: on that half.
        share: of all images that are in the group, 0 to 1.
        count: of all images that are in the group.
        also: other confirmed groups of much the same images.
    """

    group: ImageSlice
    gap: GroupGap
    share: float
    count: int
    also: tuple[ImageSlice, ...] = ()


@dataclass(frozen=True, eq=False)
class SliceSearch:
    """The result of a search.

    Args:
        tried: how many groups were looked at, in both halves.
        tested: how many of them were tested on the other half.
        confirmed: those for which the run is worse, those with the most additional mistakes first.
    """

    tried: int
    tested: int
    confirmed: tuple[ConfirmedSlice, ...]

    @classmethod
    def of(cls, data: SliceData, seed: int = 0) -> SliceSearch:
        """Searches.

        Args:
            data: the images and what the run makes of them.
            seed: of the split into halves.
        """
        if len(data.labels) < 4 * _LEAST:
            return cls(0, 0, ())
        half = _half(data.labels, seed)
        tried, tests = 0, []
        for where, other in ((half, ~half), (~half, half)):
            sought = _Sought(data, where)
            tests += [(group, group.gap(data, other)) for group in sought.standing_out(other)]
            tried += sought.count
        known = [(group, gap.among(len(tests))) for group, gap in tests if gap is not None]
        worse = [(group, gap) for group, gap in known if gap.shown and gap.value < 0]
        return cls(tried, len(tests), _without_alike(worse, data))


def smallest_gap(images: int, accuracy: float, share: float = 0.05, groups: int = 40) -> float | None:
    """How much lower the accuracy of a group must be for it to be confirmed in about three of four searches.

    Args:
        images: of both halves together.
        accuracy: of the run, 0 to 1.
        share: of the images that are in the group.
        groups: that are tested together.

    Returns:
        The difference, 0 to 1; None where even a group without a single right answer would not be found.
    """
    from scipy.special import ndtri

    inside = images / 2 * share
    if inside < _LEAST:
        return None
    z, rate = float(ndtri(1 - SHOWN_BELOW / groups)), 1 - accuracy
    usual = max(rate * (1 - rate), 1e-4) / inside
    for step in range(1, 101):
        gap = step / 100
        lower = max(accuracy - gap, 0.0)
        if gap >= z * usual**0.5 + 0.84 * (max(lower * (1 - lower), 1e-4) / inside) ** 0.5:
            return _SEARCHED * gap if _SEARCHED * gap <= accuracy else None
    return None


def _half(labels: Integers, seed: int) -> Flags:
    """Half of the images of each class."""
    shuffled = generator(seed, "slices").permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    half = np.zeros(len(labels), np.bool_)
    half[by_class[::2]] = True
    return half


class _Sought:
    """The search among the images of one half."""

    def __init__(self, data: SliceData, where: Flags) -> None:
        self._data, self._where = data, where
        self._labels = data.labels[where]
        self._wrong = data.wrong[where] / data.seeds
        self._least = max(_LEAST, round(_LEAST_SHARE * len(self._labels)))
        self.count = 0
        counts = np.maximum(np.bincount(self._labels, minlength=data.classes), 1)
        self._rates = np.bincount(self._labels, self._wrong, data.classes) / counts
        left = self._wrong - self._rates[self._labels]
        self._left = left
        # Of each image, as if its class alone decided; not 0 where a class has no mistakes.
        overall = float((left**2).mean())
        squares = np.bincount(self._labels, left**2, data.classes)
        self._variances = ((squares + 5 * overall) / (counts + 5))[self._labels]

    def standing_out(self, other: Flags) -> list[ImageSlice]:
        """The groups that stand out most, so many of each kind; none that has too few images in the other half."""
        everywhere = list(self._ranges(np.ones(len(self._labels), np.bool_), None, _STEPS))
        within = [
            one
            for label in range(self._data.classes)
            if (of_class := self._labels == label).sum() >= 2 * _LEAST
            for one in self._ranges(of_class, label, _CLASS_STEPS)
        ]
        families = (
            (self._classes(), _TESTED["class"]),
            (self._confusions(), _TESTED["confusion"]),
            (everywhere, _TESTED["property"]),
            (within, _TESTED_IN_CLASS),
            (self._clusters(), _TESTED["cluster"]),
        )
        chosen: list[ImageSlice] = []
        for found, most in families:
            best = sorted((one for one in found if one[0] >= _LEAST_Z), key=lambda one: -one[0])
            large = (group for _, group in best if (group.members(self._data) & other).sum() >= _LEAST)
            chosen += [group for group, _ in zip(large, range(most), strict=False)]
        return chosen

    def _classes(self) -> Iterator[tuple[float, ImageSlice]]:
        overall = self._wrong.mean()
        for label in range(self._data.classes):
            count = int((self._labels == label).sum())
            if count >= _LEAST and self._data.classes > 1:
                self.count += 1
                error = max(overall * (1 - overall), 1e-4) ** 0.5 / count**0.5
                yield (self._rates[label] - overall) / error, ImageSlice("class", label)

    def _confusions(self) -> Iterator[tuple[float, ImageSlice]]:
        classes = self._data.classes
        if classes < 3:  # with two, a class and what it is taken for say the same
            return
        table = np.zeros((classes, classes))
        for predicted in self._data.predicted[:, self._where]:
            np.add.at(table, (self._labels, predicted), 1 / self._data.seeds)
        images = table.sum(axis=1)
        for one, other in zip(*np.nonzero(table), strict=True):
            if one == other or images[one] < _LEAST or table[one, other] < 3:
                continue
            self.count += 1
            rest = len(self._labels) - images[other] - images[one]
            usual = (table[:, other].sum() - table[other, other] - table[one, other]) / max(rest, 1)
            error = max(usual * (1 - usual), 1e-4) ** 0.5 / images[one] ** 0.5
            group = ImageSlice("confusion", int(one), int(other))
            # Frequent ones first: how many there are above the usual matters more than how surely.
            if (table[one, other] / images[one] - usual) / error >= _LEAST_Z:
                yield float(table[one, other] - usual * images[one]) + _LEAST_Z, group

    def _clusters(self) -> Iterator[tuple[float, ImageSlice]]:
        if not len(self._data.clusters):
            return
        clusters = self._data.clusters[self._where]
        for cluster in np.unique(clusters):
            inside = clusters == cluster
            if inside.sum() >= self._least:
                self.count += 1
                z = self._left[inside].sum() / max(self._variances[inside].sum(), 1e-9) ** 0.5
                yield float(z), ImageSlice("cluster", cluster=int(cluster))

    def _ranges(self, among: Flags, label: int | None, steps: int) -> Iterator[tuple[float, ImageSlice]]:
        """The best ranges of each property among some images: at most two that do not meet."""
        for name, all_values in self._data.properties.items():
            values = all_values[self._where][among]
            order = np.argsort(values, kind="stable")
            rising = values[order]
            left = np.concatenate([[0], np.cumsum(self._left[among][order])])
            variance = np.concatenate([[0], np.cumsum(self._variances[among][order])])
            starts = _edges(rising, steps)
            score = self._scores(left, variance, starts, len(values), label)
            for _ in range(2 if label is None else 1):
                place = int(score.argmax())
                begin, end = divmod(place, len(starts))
                best = float(score[begin, end])
                if not np.isfinite(best):
                    break
                low = None if starts[begin] == 0 else float(rising[starts[begin]])
                high = None if starts[end] == len(values) else float(rising[starts[end] - 1])
                yield best, ImageSlice("property", label, name=name, low=low, high=high)
                score[:end, begin + 1 :] = -np.inf  # what meets it

    def _scores(self, left: Floats, variance: Floats, edges: Integers, total: int, label: int | None) -> Floats:
        """How far each range from edge to edge is above the rates of its classes, `(edges, edges)`; -inf for none."""
        size = edges[None, :] - edges[:, None]
        least = self._least if label is None else _LEAST
        allowed = (size >= least) & (size <= _MOST_SHARE * total)
        self.count += int(allowed.sum())
        excess = left[edges][None, :] - left[edges][:, None]
        # The rates hold the range's own mistakes, which its share of the images accounts for.
        spread = (variance[edges][None, :] - variance[edges][:, None]) * (1 - size / max(total, 1))
        return np.where(allowed, excess / np.sqrt(np.maximum(spread, 1e-9)), -np.inf)


def _edges(rising: Floats, steps: int) -> Integers:
    """Positions between different values at about equal shares of the images, with 0 and their number."""
    wanted = np.unique(np.round(np.linspace(0, len(rising), steps + 1)).astype(np.int64))
    inner = wanted[(wanted > 0) & (wanted < len(rising))]
    moved = np.searchsorted(rising, rising[inner], side="left")
    return np.unique(np.concatenate([[0], moved, [len(rising)]]))


def _without_alike(worse: list[tuple[ImageSlice, GroupGap]], data: SliceData) -> tuple[ConfirmedSlice, ...]:
    """Each group once, those with the most additional mistakes first.

    A group that was found in both halves has the numbers of all images. One of much the same images as a group before
    is named with that; which is named first does not depend on how large their gaps turned out, else the larger of two
    would be reported, which is luck in part.
    """
    kept: list[tuple[ConfirmedSlice, Flags]] = []
    everything = np.ones(len(data.labels), np.bool_)
    for group, gap in worse:
        member = group.members(data)
        for place, (known, images) in enumerate(kept):
            if known.group == group:
                both = group.gap(data, everything)
                kept[place] = (known if both is None else replace(known, gap=both.among(gap.comparisons))), images
                break
            same = "confusion" not in (group.kind, known.group.kind)
            if same and (member & images).sum() >= _ALIKE * (member | images).sum():
                kept[place] = replace(known, also=(*known.also, group)), images
                break
        else:
            kept.append((ConfirmedSlice(group, gap, float(member.mean()), int(member.sum())), member))
    # In the same unit, whether the numbers are of a half or of all images.
    return tuple(sorted((one for one, _ in kept), key=lambda one: one.gap.value * one.share))


def slice_facts(one: ConfirmedSlice, classes: tuple[str, ...]) -> dict[str, Any]:
    """A confirmed group as plain JSON."""

    def named(group: ImageSlice) -> dict[str, Any]:
        return {
            "kind": group.kind,
            "class": None if group.label is None else classes[group.label],
            "taken_for": None if group.taken_for is None else classes[group.taken_for],
            "property": group.name or None,
            "low": group.low,
            "high": group.high,
            "cluster": group.cluster,
        }

    return {
        **named(one.group),
        "count": one.count,
        "share": one.share,
        **one.gap.to_dict(),
        "also": [named(group) for group in one.also],
    }
