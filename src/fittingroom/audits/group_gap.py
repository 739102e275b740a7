"""How much less accurate a run is for a group of images than for comparable images outside it.

Comparable are images of the same classes: a group that has more shirts than others is not worse for that. Of each class
its images in the group are compared with those outside, and the classes are weighted as the group has them.

Whether it may be chance is told by an exact test (Fisher's, within classes): if the group did not matter, each subset
of a class's images would be as likely to be its members, so the number of mistakes in the group has a known
distribution. For one seed it is computed; for several, an image may be wrong for some of them, and the distribution is
drawn from (Monte Carlo test, which is exact too: Barnard, 1963). The interval of the difference is put together from
Wilson's intervals of both sides (Newcombe, Interval Estimation for the Difference between Independent Proportions,
Statistics in Medicine 17, 1998), each with as many images as would give it its variance over classes and seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import SHOWN_BELOW, Interval
from fittingroom.seeds import generator

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

_DRAWS = 10_000
_MORE = 2.0  # images of the class's own rate that are added to both sides of it


@dataclass(frozen=True)
class GroupGap:
    """A group of images against images of the same classes outside it.

    Args:
        images: how many of the group have images of their class outside it.
        accuracy: of these, 0 to 1; the mean over seeds.
        elsewhere: of images of the same classes outside, weighted as the group has the classes.
        weight: of each side, as many images as have its variance where classes and seeds make no difference.
        p: how likely so many mistakes (or, two-sided, so different a number) would be by chance, above 0, at most 1.
        comparisons: how many comparisons are made together; p and interval are corrected for it (Bonferroni).
    """

    images: int
    accuracy: float
    elsewhere: float
    weight: tuple[float, float]
    p: float
    comparisons: int = 1

    @classmethod
    def of(
        cls,
        wrong: Integers,
        seeds: int,
        member: Flags,
        strata: Integers,
        *,
        side: Literal["worse", "both"] = "worse",
    ) -> GroupGap | None:
        """The gap of a group; None where none of its classes has images both in it and outside.

        Args:
            wrong: how many of the seeds are wrong about each image, `(images,)`.
            seeds: how many there are.
            member: whether each image is in the group.
            strata: the class of each image; all the same for a group that is to be compared with all others.
            side: whether only more mistakes than elsewhere count, or fewer as well.
        """
        kinds, stratum = np.unique(strata, return_inverse=True)
        size = len(kinds)
        inside = np.bincount(stratum[member], minlength=size)
        outside = np.bincount(stratum[~member], minlength=size)
        usable = (inside > 0) & (outside > 0)
        if not usable.any():
            return None
        keep = usable[stratum]
        wrong, member, stratum = wrong[keep], member[keep], stratum[keep]
        shares = wrong / seeds
        wrong_inside = np.bincount(stratum[member], shares[member], size)[usable]
        wrong_outside = np.bincount(stratum[~member], shares[~member], size)[usable]
        inside, outside = inside[usable], outside[usable]
        count = int(inside.sum())
        weights = inside / count
        elsewhere = float(weights @ (wrong_outside / outside))
        rates = (wrong_inside + wrong_outside) / (inside + outside)
        variances = [
            _variance(found, number, rates) for found, number in ((wrong_inside, inside), (wrong_outside, outside))
        ]
        spread = _spread(shares, rates[(np.cumsum(usable) - 1)[stratum]])
        accuracies = 1 - float(wrong_inside.sum()) / count, 1 - elsewhere
        worth = [
            _worth(accuracy, float(weights**2 @ variance) * spread, int(number.sum()))
            for accuracy, variance, number in zip(accuracies, variances, (inside, outside), strict=True)
        ]
        p = _chance(wrong, seeds, member, stratum, side)
        return cls(count, *accuracies, (worth[0], worth[1]), p)

    @property
    def value(self) -> float:
        """Accuracy of the group less that elsewhere; below 0 where the group is worse."""
        return self.accuracy - self.elsewhere

    @property
    def corrected(self) -> float:
        """The p corrected for the number of comparisons, 0 to 1."""
        return min(1.0, self.p * self.comparisons)

    @property
    def confidence(self) -> float:
        """Of the interval: so much that all intervals that are made together hold at once in 95% of cases."""
        return 1 - SHOWN_BELOW / self.comparisons

    @property
    def interval(self) -> Interval:
        """Where the true difference lies; it contains 0 where no difference is shown."""
        below, above = zip(
            *(
                _wilson(share, weight, self.confidence)
                for share, weight in zip((self.accuracy, self.elsewhere), self.weight, strict=True)
            ),
            strict=True,
        )
        low = self.value - math.hypot(self.accuracy - below[0], above[1] - self.elsewhere)
        high = self.value + math.hypot(above[0] - self.accuracy, self.elsewhere - below[1])
        low, high = max(low, -1.0), min(high, 1.0)
        return Interval(low, high) if self.corrected < SHOWN_BELOW else Interval(min(low, 0.0), max(high, 0.0))

    @property
    def shown(self) -> bool:
        """Whether chance is an unlikely explanation, by the exact test and by the interval."""
        low, high = self.interval
        return self.corrected < SHOWN_BELOW and not low <= 0 <= high

    @property
    def excess(self) -> float:
        """Mistakes in the group beyond those that images of the same classes elsewhere would have had."""
        return -self.value * self.images

    def among(self, comparisons: int) -> GroupGap:
        """The same as one of so many comparisons."""
        return replace(self, comparisons=comparisons)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "elsewhere": self.elsewhere,
            "difference": self.value,
            "interval": list(self.interval),
            "confidence": self.confidence,
            "p": self.p,
            "p_corrected": self.corrected,
            "shown": self.shown,
        }


def _variance(found: npt.NDArray[Any], number: Integers, rates: Floats) -> Floats:
    """Of the share of wrong ones of each class, with two more images of the class's rate, which is kept off 0 and 1."""
    prior = np.clip(rates, 0.02, 0.98)
    shares = (found + _MORE * prior) / (number + _MORE)
    return np.asarray(shares * (1 - shares) / number)


def _worth(accuracy: float, variance: float, number: int) -> float:
    """How many images, right or wrong, have this variance of their accuracy; as many as there are, or more."""
    share = min(max(accuracy, 0.02), 0.98)
    return max(share * (1 - share) / max(variance, 1e-9), min(number, 2.0))


def _wilson(share: float, images: float, confidence: float) -> Interval:
    """Wilson's interval of a share of so many images, which need not be whole."""
    from scipy.special import ndtri

    square = float(ndtri(0.5 + confidence / 2)) ** 2 / images
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * share * (1 - share) + square * square / 4) / (1 + square)
    return Interval(min(middle - half, share), max(middle + half, share))


def _spread(shares: Floats, rates: Floats) -> float:
    """How much smaller the variance is than that of images that are either right or wrong, for all seeds alike."""
    whole = float((rates * (1 - rates)).sum())
    return min(1.0, max(float(((shares - rates) ** 2).sum()) / whole, 0.1)) if whole else 1.0


def _chance(wrong: Integers, seeds: int, member: Flags, stratum: Integers, side: Literal["worse", "both"]) -> float:
    """The p of the sum of `wrong` over the members if they were drawn from each stratum without replacement."""
    found = int(wrong[member].sum())
    if seeds == 1:
        lowest, chances = _distribution(wrong, member, stratum)
        more = float(chances[max(found - lowest, 0) :].sum())
        fewer = float(chances[: found - lowest + 1].sum())
    else:
        sums = _drawn(wrong, seeds, member, stratum)
        more, fewer = ((1 + int(some.sum())) / (_DRAWS + 1) for some in (sums >= found, sums <= found))
    p = more if side == "worse" else 2 * min(more, fewer)
    return min(max(p, 1e-300), 1.0)


def _distribution(wrong: Integers, member: Flags, stratum: Integers) -> tuple[int, Floats]:
    """The smallest possible number of wrong members, and the probability of it and of each number above it."""
    from scipy.stats import hypergeom

    lowest, chances = 0, np.ones(1)
    for kind in np.unique(stratum):
        of_kind = stratum == kind
        total, bad, drawn = int(of_kind.sum()), int(wrong[of_kind].sum()), int(member[of_kind].sum())
        least, most = max(0, drawn + bad - total), min(drawn, bad)
        lowest += least
        if most > least:
            chances = np.convolve(chances, hypergeom.pmf(np.arange(least, most + 1), total, bad, drawn))
    return lowest, chances


def _drawn(wrong: Integers, seeds: int, member: Flags, stratum: Integers) -> Integers:
    """The sum over members, drawn `_DRAWS` times."""
    draw = generator(0, "slices", 1)
    sums = np.zeros(_DRAWS, np.int64)
    for kind in np.unique(stratum):
        of_kind = stratum == kind
        counts = np.bincount(wrong[of_kind], minlength=seeds + 1)
        filled = np.flatnonzero(counts)  # most classes have few kinds of images
        drawn = draw.multivariate_hypergeometric(counts[filled], int(member[of_kind].sum()), size=_DRAWS)
        sums += drawn @ filled
    return sums
