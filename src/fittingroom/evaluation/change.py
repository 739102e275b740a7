"""Between two epochs: which images account for how much of the change of the mean loss, and how much of it is jitter.

The change of the mean loss is the sum over images of (loss after - loss before) / images. Sorting images into groups
splits it exactly: nothing is modelled and nothing is left over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import Interval, plain
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.seeds import generator

GroupName = Literal["stayed right", "stayed wrong", "became right", "became wrong"]
GROUPS: tuple[GroupName, ...] = get_args(GroupName)

_NUMBERS = 2**20  # drawn for one bound, which limits the time: 30 ms
_FEWEST, _MOST = 200, 20_000
_OUTSIDE = 0.025  # on the side of a rise


@dataclass(frozen=True)
class _Share:
    """How many images a part of a change is, and what they account for.

    Args:
        count: the number of images.
        nats: the sum of their changes of loss, divided by the number of all images.
    """

    count: int
    nats: float

    def to_dict(self) -> dict[str, Any]:
        """Both as plain JSON."""
        return {"count": self.count, "nats": self.nats}


@dataclass(frozen=True)
class _Group:
    """Images that were right or wrong alike before and after a change.

    Whether its images' loss rose or fell says how confident they became: the loss is -ln of the probability of the true
    class. Of images that stayed right, those whose loss fell became more confident. Of images that stayed wrong, those
    whose loss rose became more confidently wrong: the model gives more to classes that are not the true one.

    Args:
        name: one of `GROUPS`.
        whole: all images of the group.
        rose: the images of the group whose loss rose.
        fell: the images of the group whose loss fell. Images whose loss did not change are in neither.
    """

    name: GroupName
    whole: _Share
    rose: _Share
    fell: _Share

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            **self.whole.to_dict(),
            "rose": self.rose.to_dict(),
            "fell": self.fell.to_dict(),
        }


@dataclass(frozen=True)
class Change:
    """What changed between two epochs, split over images.

    The intervals say how the changes would vary with other images, for the weights of these two epochs. Where one of
    them was picked as the epoch with the best loss or accuracy, they allow for that choice and for the jitter between
    epochs, too. The last epoch counts as not picked.

    Args:
        start: number of the epoch before, from 1.
        end: number of the epoch after; it may be an earlier one, or the same.
        images: the number of images.
        loss: mean loss before and after, in nats.
        accuracy: share of right predictions before and after, 0 to 1.
        loss_change: change of the mean loss, in nats.
        loss_interval: its 95% interval, paired by image; None for a single image.
        accuracy_points: change of the accuracy in percentage points.
        accuracy_interval: its 95% interval, in points, paired by image; None for a single image.
        groups: the four groups in the order of `GROUPS`; their nats sum to `loss_change`.
    """

    start: int
    end: int
    images: int
    loss: tuple[float, float]
    accuracy: tuple[float, float]
    loss_change: float
    loss_interval: Interval | None
    accuracy_points: float
    accuracy_interval: Interval | None
    groups: tuple[_Group, ...]

    @classmethod
    def between(cls, trajectories: Trajectories, start: int, end: int) -> Change:
        """The change from epoch `start` to epoch `end`.

        Raises:
            InputError: one of the epochs was not validated.
        """
        before, after = trajectories.row(start), trajectories.row(end)
        changes = trajectories.loss_changes(start, end)
        members = _group_of_images(trajectories, start, end)
        right = trajectories.right
        gained = 100.0 * (right[after].astype(np.float64) - right[before])
        best = {trajectories.best_loss_epoch, trajectories.best_accuracy_epoch}
        # A best epoch was picked by its number, and so looks better than it is. The last epoch was not picked, even
        # where it happens to be the best.
        picked = start != end and (start in best or (end in best and end != trajectories.last_epoch))
        curves = trajectories.mean_loss, 100 * trajectories.accuracy
        jitters = [most_jitter([curve], 1) if picked else 0.0 for curve in curves]
        return cls(
            start=start,
            end=end,
            images=trajectories.images,
            loss=(float(trajectories.mean_loss[before]), float(trajectories.mean_loss[after])),
            accuracy=(float(trajectories.accuracy[before]), float(trajectories.accuracy[after])),
            loss_change=float(changes.mean()),
            loss_interval=_widened(Interval.of_mean(changes), jitters[0]),
            accuracy_points=float(gained.mean()),
            accuracy_interval=_widened(Interval.of_mean(gained), jitters[1]),
            groups=tuple(_group(name, changes, members == index) for index, name in enumerate(GROUPS)),
        )

    @classmethod
    def defaults(cls, trajectories: Trajectories) -> dict[str, Change]:
        """The changes that a report shows by itself: `best_loss` and `best_accuracy`, each from that epoch to the last.

        Where the best epoch is the last one, nothing changed and every share is 0.
        """
        return {
            "best_loss": cls.between(trajectories, trajectories.best_loss_epoch, trajectories.last_epoch),
            "best_accuracy": cls.between(trajectories, trajectories.best_accuracy_epoch, trajectories.last_epoch),
        }

    def group(self, name: GroupName) -> _Group:
        """The group of a name."""
        return self.groups[GROUPS.index(name)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "images": self.images,
            "loss": list(self.loss),
            "accuracy": list(self.accuracy),
            "loss_change": self.loss_change,
            "loss_interval": plain(self.loss_interval),
            "accuracy_points": self.accuracy_points,
            "accuracy_interval": plain(self.accuracy_interval),
            "groups": [group.to_dict() for group in self.groups],
        }


def _widened(interval: Interval | None, half: float) -> Interval | None:
    """An interval widened for an error that is independent of the images; `half` is half of that error's interval."""
    if interval is None or not half:
        return interval
    middle, own = (interval.low + interval.high) / 2, (interval.high - interval.low) / 2
    return Interval(middle - math.hypot(own, half), middle + math.hypot(own, half))


def _group(name: GroupName, changes: npt.NDArray[np.float64], members: npt.NDArray[np.bool_]) -> _Group:
    shares = [_share(changes, members & part) for part in (np.True_, changes > 0, changes < 0)]
    return _Group(name, *shares)


def _share(changes: npt.NDArray[np.float64], members: npt.NDArray[np.bool_]) -> _Share:
    return _Share(int(members.sum()), float(changes[members].sum() / len(changes)))


def _group_of_images(trajectories: Trajectories, start: int, end: int) -> npt.NDArray[np.int8]:
    """The group of each image as an index into `GROUPS`, int8 `(images,)`."""
    before, after = trajectories.right[trajectories.row(start)], trajectories.right[trajectories.row(end)]
    stayed = np.where(before, 0, 1)
    moved = np.where(after, 2, 3)
    return np.where(before == after, stayed, moved).astype(np.int8)


def window(epochs: int) -> int:
    """How many epochs to average at the end of a curve, and where it is lowest: a sixth of them, one to five."""
    # Averaging more would rely on epochs that are independent of each other; neighbours in a long training are not.
    return min(5, max(1, epochs // 6))


def most_jitter(curves: Sequence[npt.NDArray[np.float64]], width: int) -> float:
    """By how much flat curves would seem to rise from their lowest to their last epochs, at most, in 97.5% of cases.

    A training with batches of few images never comes to rest: after each epoch the loss is a little higher or lower
    than its trend, on all images at once, so that no number of images averages it out. And the lowest of many such
    epochs is low by luck. A rise counts only beyond this.

    Args:
        curves: a number per epoch for each seed; curves of a single epoch are left out.
        width: how many epochs are averaged at both places, as `window` says.
    """
    several = [curve for curve in curves if len(curve) > 1]
    if not several:
        return 0.0
    return _jitter_bound(max(map(len, several)), width, len(several)) * _jitter(several)


def _jitter(curves: Sequence[npt.NDArray[np.float64]]) -> float:
    """The standard deviation of single epochs around the trend of a curve, over one or several of the same kind.

    From second differences, e(t-1) - 2 e(t) + e(t+1), which leave nothing of a straight trend, and have six times the
    variance of independent epochs. Where the trend bends, that counts as jitter, so the estimate is rather too large.
    Two epochs have a first difference only.

    Args:
        curves: one number per epoch each, two epochs at least.
    """
    parts = [np.diff(curve, 2) / math.sqrt(6) if len(curve) > 2 else np.diff(curve) / math.sqrt(2) for curve in curves]
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


@lru_cache(maxsize=256)
def _jitter_bound(epochs: int, width: int, curves: int = 1) -> float:
    """How far above the lowest the last epochs of flat curves are in all but 2.5% of cases, in jitters.

    Simulated with a fixed seed: epochs are independent and normal, each curve is measured from its own lowest stretch,
    and the mean over the curves is divided by the jitter that is estimated from them.

    Args:
        epochs: the number of epochs of each curve, two at least.
        width: how many epochs are averaged at both places, as `window` says.
        curves: the number of curves.
    """
    if epochs < 3:
        return 6.0  # two epochs: three times their distance, so that nothing is ever shown
    draws = min(_MOST, max(_FEWEST, _NUMBERS // (epochs * curves)))
    drawn = generator(0, "bootstrap", 4).standard_normal((draws, curves, epochs))
    sums = np.concatenate([np.zeros((draws, curves, 1)), drawn.cumsum(axis=2)], axis=2)
    levels = (sums[..., width:] - sums[..., :-width]) / width
    above = (levels[..., -1] - levels.min(axis=2)).mean(axis=1)
    estimated = np.sqrt((np.diff(drawn, 2) ** 2).mean(axis=(1, 2)) / 6)
    return float(np.quantile(above / estimated, 1 - _OUTSIDE))
