"""How many labels are wrong, from the images that a person has reviewed: an estimate and an interval.

Images are put into bands by the calibrated probability that their label is wrong. Within a band they are reviewed in a
random order that is drawn beforehand; which band comes next, and when to stop, the reviewer may decide at will, also by
what was found so far. The interval is a confidence sequence: at all times together, it fails with a probability of at
most 5%. The probabilities only say where errors are expected, which makes the interval narrow where they are right, and
not wrong where they are wrong.

For a band of N images, of which M are wrong, R(M) is the probability of what was found before anything was known,
under a beta prior with the band's mean probability, over its probability given M. For the true M it is a martingale
that begins with 1; so is a weighted mean over bands, which by Ville's inequality ever reaches 20 with a probability of
at most 5%. The interval has all totals that some M of the bands with a smaller mean add up to.

Source: Waudby-Smith and Ramdas, Confidence sequences for sampling without replacement, NeurIPS 2020 (arXiv 2006.04347).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.spread import Interval
from fittingroom.seeds import generator
from fittingroom.text import amount, percent, percent_range

Decision = Literal["wrong", "right", "skipped"]

EDGES = (0.8, 0.5, 0.2, 0.05)
"""The lower ends of the bands of probability but the last, whose is 0."""

MOST = 300
"""Images that a plan puts in order for review, unless told otherwise."""

_EVERY = 4  # one of so many images is from a band below the one that is being reviewed
_STRENGTH = 8.0  # of the prior, in images; any value is sound
_LEAST_MEAN = 0.002
_FAILS = 0.05


@dataclass(frozen=True, eq=False)
class ReviewPlan:
    """Which images are reviewed, and in which order.

    Args:
        images: how many there are in all.
        bands: from the most suspicious.
        order: positions of images, in the order in which they are shown.
    """

    images: int
    bands: tuple[ReviewBand, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, probabilities: npt.NDArray[np.floating[Any]], *, seed: int = 0, most: int = MOST) -> ReviewPlan:
        """The plan for images whose labels are wrong with these probabilities.

        Most images come from the most suspicious band that is not finished. Every fourth comes from one of the other
        bands, since nothing is known of a band of which nothing was reviewed.

        Args:
            probabilities: that the label is wrong, 0 to 1, `(images,)`.
            seed: of the random order.
            most: how many images are put in order.

        Raises:
            InputError: a probability is not between 0 and 1.
        """
        values = np.asarray(probabilities, np.float64)
        if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
            raise InputError("probabilities must be numbers from 0 to 1, one for each image.")
        band = np.searchsorted(-np.asarray(EDGES), -values, side="left")
        bands = []
        for place, (low, high) in enumerate(zip((*EDGES, 0.0), (1.0, *EDGES), strict=True)):
            members = np.flatnonzero(band == place)
            if len(members):
                drawn = generator(seed, "review", place).permutation(members)[:most]
                mean = float(values[members].mean())
                bands.append(ReviewBand(low, high, len(members), mean, tuple(drawn.tolist())))
        return cls(len(values), tuple(bands), tuple(_order(bands, most)))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        bands = [
            {"low": one.low, "high": one.high, "count": one.count, "mean": one.mean, "indices": list(one.indices)}
            for one in self.bands
        ]
        return {"images": self.images, "bands": bands, "order": list(self.order)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ReviewPlan:
        """The plan that `to_dict` gave."""
        bands = tuple(ReviewBand(**{**one, "indices": tuple(one["indices"])}) for one in stored["bands"])
        return cls(stored["images"], bands, tuple(stored["order"]))


@dataclass(frozen=True)
class ReviewBand:
    """Images whose labels are wrong with about the same probability.

    Args:
        low: the smallest probability, included.
        high: the largest; in the first band included.
        count: how many images there are.
        mean: of their probabilities.
        indices: positions of some of them, or of all, in the random order in which they are to be reviewed.
    """

    low: float
    high: float
    count: int
    mean: float
    indices: tuple[int, ...]

    def reviewed(self, decisions: Mapping[int, Decision]) -> list[Decision]:
        """What was decided, up to the first image in its order without a decision: later ones may have been picked."""
        found: list[Decision] = []
        for index in self.indices:
            if index not in decisions:
                break
            found.append(decisions[index])
        return found


@dataclass(frozen=True)
class ErrorRate:
    """How many labels are wrong among all images, reviewed or not.

    Args:
        images: how many there are in all.
        reviewed: how many decisions were counted.
        wrong: how many of them said that the label is wrong.
        skipped: how many left it open; the interval holds whatever these labels are.
        estimate: the share of wrong labels to be expected, 0 to 1.
        interval: where that share lies, with 95% confidence at whatever moment one looks.
    """

    images: int
    reviewed: int
    wrong: int
    skipped: int
    estimate: float
    interval: Interval

    @classmethod
    def of(cls, plan: ReviewPlan, decisions: Mapping[int, Decision]) -> ErrorRate:
        """The error rate by what was decided so far; before the first decision the interval is 0 to 1.

        Args:
            plan: by which the images were reviewed.
            decisions: by the positions of the images; those of other images are left out.
        """
        found = [(band, band.reviewed(decisions)) for band in plan.bands]
        reviewed = [decision for _, some in found for decision in some]
        low = _totals([_Drawn.of(band, some, skipped_wrong=False) for band, some in found])[0]
        high = _totals([_Drawn.of(band, some, skipped_wrong=True) for band, some in found])[1]
        decided = [_Drawn.of(band, [one for one in some if one != "skipped"]) for band, some in found]
        expected = sum(one.expected for one in decided)
        images = max(plan.images, 1)
        return cls(
            images=plan.images,
            reviewed=len(reviewed),
            wrong=reviewed.count("wrong"),
            skipped=reviewed.count("skipped"),
            estimate=float(np.clip(expected, low, high)) / images,
            interval=Interval(low / images, high / images),
        )

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.reviewed:
            return "No image was reviewed yet, so the true error rate is not known."
        skipped = f", {self.skipped:,} left open" if self.skipped else ""
        digits = 2 if self.interval.high < 0.1 else 1
        return (
            f"{amount(self.reviewed, 'image')} reviewed, {self.wrong:,} labels wrong{skipped}. Of all "
            f"{amount(self.images, 'label')}, {percent_range(self.interval, digits)} are wrong (95% interval, valid "
            f"whenever you stop); expected: {percent(self.estimate, digits)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "images": self.images,
            "reviewed": self.reviewed,
            "wrong": self.wrong,
            "skipped": self.skipped,
            "estimate": self.estimate,
            "interval": list(self.interval),
        }


def _order(bands: Sequence[ReviewBand], most: int) -> list[int]:
    """Positions in the order in which they are shown: see `ReviewPlan.of`."""
    shown = [0] * len(bands)
    order: list[int] = []
    while len(order) < most:
        open_bands = [place for place, band in enumerate(bands) if shown[place] < len(band.indices)]
        if not open_bands:
            break
        first, *others = open_bands
        chosen = first
        if others and len(order) % _EVERY == _EVERY - 1:
            # In proportion to the roots of their sizes, which makes the sum of size / reviewed the smallest: about so
            # many errors may yet be in a band.
            chosen = max(others, key=lambda place: math.sqrt(bands[place].count) / (shown[place] + 1))
        order.append(bands[chosen].indices[shown[chosen]])
        shown[chosen] += 1
    return order


@dataclass(frozen=True)
class _Drawn:
    """What is known of a band: of `count` images, `drawn` were reviewed, and `wrong` of these are wrong."""

    count: int
    drawn: int
    wrong: int
    prior: tuple[float, float]

    @classmethod
    def of(cls, band: ReviewBand, decisions: Sequence[Decision], *, skipped_wrong: bool = False) -> _Drawn:
        """From the decisions; those that leave it open count as wrong or as right."""
        wrong = sum(one == "wrong" or (skipped_wrong and one == "skipped") for one in decisions)
        mean = min(max(band.mean, _LEAST_MEAN), 1 - _LEAST_MEAN)
        return cls(band.count, len(decisions), wrong, (_STRENGTH * mean, _STRENGTH * (1 - mean)))

    @property
    def expected(self) -> float:
        """How many are wrong in all, by the mean of the posterior."""
        one, other = self.prior
        share = (one + self.wrong) / (one + other + self.drawn)
        return self.wrong + share * (self.count - self.drawn)

    @property
    def likeliest(self) -> int:
        """The number of wrong ones under which what was found is the most probable."""
        if self.drawn == 0:
            return self.wrong
        most = self.count - self.drawn + self.wrong
        return min(max((self.count + 1) * self.wrong // self.drawn, self.wrong), most)

    def products(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """R of the likeliest number and of each above it, and R of the likeliest number and of each below it."""
        one, other = self.prior
        right, total = self.drawn - self.wrong, self.likeliest
        before = math.fsum(
            [math.log(one + step) for step in range(self.wrong)]
            + [math.log(other + step) for step in range(right)]
            + [-math.log(one + other + step) for step in range(self.drawn)]
        )
        given = math.fsum(
            [math.log(total - step) for step in range(self.wrong)]
            + [math.log(self.count - total - step) for step in range(right)]
            + [-math.log(self.count - step) for step in range(self.drawn)]
        )
        above = np.arange(total, self.count - right, dtype=np.float64)
        left = self.count - above
        up = np.log((above + 1 - self.wrong) / (above + 1)) + np.log(left / (left - right))
        below = np.arange(total, self.wrong, -1, dtype=np.float64)
        left = self.count - below + 1
        down = np.log(below / (below - self.wrong)) + np.log((left - right) / left)
        # Far from the likeliest number R is beyond all bounds; 700 keeps it a number.
        logs = (before - given + np.concatenate([[0.0], np.cumsum(side)]) for side in (up, down))
        more, fewer = (np.exp(np.minimum(side, 700.0)) for side in logs)
        return more, fewer


def _totals(bands: Sequence[_Drawn]) -> tuple[int, int]:
    """The smallest and the largest total number of wrong images that is not ruled out.

    Each step is made where it costs least, which is best as R is convex in the number of wrong images: the probability
    of what was found is log-concave in it.
    """
    # Errors that are not yet found are sought in large bands.
    sizes = np.sqrt([band.count for band in bands])
    weights = sizes / sizes.sum()
    total = sum(band.likeliest for band in bands)
    costs = [[weight * side for side in band.products()] for weight, band in zip(weights, bands, strict=True)]
    room = 1 / _FAILS - sum(float(more[0]) for more, _ in costs)
    ends = []
    for side in (0, 1):
        steps = np.sort(np.concatenate([np.empty(0), *(np.diff(one[side]) for one in costs)]))
        ends.append(int((np.cumsum(np.maximum(steps, 0.0)) < room).sum()))
    return total - ends[1], total + ends[0]
