"""What several seeds say together: curves with their band, and how much each fact differs between seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.evaluation.calibration import Calibration
from fittingroom.evaluation.change import GROUPS, Change
from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.evaluation.scores import Classes
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.evaluation.stopping import Stopping
from fittingroom.reports.words.change_words import stayed_wrong_carries

if TYPE_CHECKING:
    from fittingroom.reports.facts.subject import SeedTraining

_LARGE_GAP = 0.05
"""A share of the images: from here on the gap between training and validation accuracy is called large."""

_SPLIT = ("loss", "refinement", "overconfidence", "temperature")


def spread_facts(
    trainings: Sequence[SeedTraining],
    each: Sequence[Mapping[str, Any]],
    changes: Sequence[Mapping[str, Change]],
    calibrations: Sequence[Sequence[Calibration] | None],
) -> dict[str, Any]:
    """The facts of all seeds together: `curves`, `stopping`, and how much single facts differ between seeds.

    Args:
        trainings: one for each seed.
        each: what `training_facts` gives for each of them.
        changes: the default changes of each.
        calibrations: the calibration of each validated epoch of each; None where it is not known.
    """
    known = [one for one in calibrations if one is not None]
    return {
        "curves": _curve_facts(trainings),
        "calibration_curves": _calibration_curves(known) if len(known) == len(calibrations) else None,
        "change_spreads": {name: _change([one[name] for one in changes]) for name in changes[0]},
        "class_spreads": _class_spreads(trainings),
        "agreement": _agreement(each, changes),
        "stopping": _stopping(trainings),
    }


def _stopping(trainings: Sequence[SeedTraining]) -> dict[str, Any]:
    found = Stopping.of(
        [training.trajectories for training in trainings], [training.training_loss for training in trainings]
    )
    return {
        **found.to_dict(),
        "gap": _gaps(trainings, found),
        "accuracy_gap": _accuracy_gap(trainings),
        "training_loss": _training_losses(trainings),
        "loss_epochs": _span([one.loss_epoch for one in found.seeds]),
        "accuracy_epochs": _span([one.accuracy_epoch for one in found.seeds]),
        "last_epochs": _span([one.last_epoch for one in found.seeds]),
    }


def _curve_facts(trainings: Sequence[SeedTraining]) -> dict[str, list[dict[str, Any]]]:
    """Name of a number of the history -> mean, lowest and highest over the seeds of each epoch, counted from 1."""
    rows: dict[str, dict[int, list[float]]] = {}
    for training in trainings:
        for epoch, logs in zip(training.history.epoch, training.history.rows, strict=True):
            for name, value in logs.items():
                rows.setdefault(name, {}).setdefault(epoch + 1, []).append(value)
    return {name: [_band(epoch, epochs[epoch]) for epoch in sorted(epochs)] for name, epochs in rows.items()}


def _band(epoch: int, values: Sequence[float]) -> dict[str, Any]:
    """Mean, lowest and highest value of an epoch, and of how many seeds."""
    mean = sum(values) / len(values)
    return {"epoch": epoch, "mean": mean, "low": min(values), "high": max(values), "seeds": len(values)}


def _calibration_curves(found: Sequence[Sequence[Calibration]]) -> dict[str, list[dict[str, Any]]]:
    """Loss, refinement, overconfidence and temperature of each epoch, as the curves."""
    rows: dict[int, list[Calibration]] = {}
    for training in found:
        for one in training:
            rows.setdefault(one.epoch, []).append(one)
    return {
        name: [_band(epoch, [getattr(one, name) for one in rows[epoch]]) for epoch in sorted(rows)] for name in _SPLIT
    }


def _change(changes: Sequence[Change]) -> dict[str, Any]:
    return {
        "start": _span([one.start for one in changes]),
        "end": _span([one.end for one in changes]),
        "loss_before": _spread(one.loss[0] for one in changes),
        "loss_after": _spread(one.loss[1] for one in changes),
        "loss_change": _spread(one.loss_change for one in changes),
        "accuracy_points": _spread(one.accuracy_points for one in changes),
        "groups": [
            {
                "name": name,
                "count": _spread(one.group(name).whole.count for one in changes),
                "nats": _spread(one.group(name).whole.nats for one in changes),
            }
            for name in GROUPS
        ],
    }


def _span(numbers: Sequence[int]) -> dict[str, Any]:
    """The first and the last of some epochs, and each."""
    return {"low": min(numbers), "high": max(numbers), "values": list(numbers)}


def _training_losses(trainings: Sequence[SeedTraining]) -> dict[str, Any] | None:
    """Training loss at the epoch with the lowest validation loss and at the last one; None where one is not known."""
    pairs = []
    for training in trainings:
        if training.training_loss is None:
            return None
        best = training.trajectories.row(training.trajectories.best_loss_epoch)
        pairs.append((float(training.training_loss[best]), float(training.training_loss[-1])))
    return {
        "at_loss_epoch": _spread(before for before, _ in pairs),
        "at_last_epoch": _spread(after for _, after in pairs),
        "fell": all(after < before for before, after in pairs),
    }


def _gaps(trainings: Sequence[SeedTraining], found: Stopping) -> dict[str, Any] | None:
    """The generalisation gap over the seeds, and whether it grows; None where a training loss is not known.

    A training loss is the mean over its epoch while the weights get better, so early gaps come out below 0. What the
    gap grows out of that is no sign of anything: `grows` counts only what is above 0, beyond noise.
    """
    known = [one.gaps for one in found.seeds if one.gaps is not None]
    growth = found.differences.gap_growth
    if len(known) < len(trainings) or growth is None:
        return None
    rows: dict[int, list[float]] = {}
    for training, values in zip(trainings, known, strict=True):
        for epoch, value in zip(training.trajectories.epochs, values, strict=True):
            rows.setdefault(epoch, []).append(value)
    # Early gaps are below 0, since a training loss is a mean over an epoch in which the model still improves; growth
    # out of that is no overfitting.
    below = sum(min(0.0, *values, 0.0) for values in known) / len(known)
    since = [
        _positive_since(training.trajectories.epochs, each) for training, each in zip(trainings, known, strict=True)
    ]
    positive = [epoch for epoch in since if epoch is not None]
    return {
        "curve": [_band(epoch, rows[epoch]) for epoch in sorted(rows)],
        "last": _spread(values[-1] for values in known),
        "positive_since": _span(positive) if len(positive) == len(since) else None,
        "grows": found.differences.gap_grows and growth.interval.low + below > 0 and len(positive) == len(since),
    }


def _accuracy_gap(trainings: Sequence[SeedTraining]) -> dict[str, Any] | None:
    """How much more of the training images were right in the last epoch than of the validation images are.

    These are the two accuracies that `train` and `show` tell: the training accuracy is the mean over that epoch, while
    the weights changed, and the validation accuracy that of the kept weights. None where one is not known. The gap is
    large where its whole 95% interval, for other validation images (and other training images, where only some were
    scored), is above `_LARGE_GAP`: every model that learns has
    a gap of a point or two.
    """
    known = [training.record.train.accuracy for training in trainings]
    accuracies = [value for value in known if value is not None]
    if len(accuracies) < len(known) or not all(training.known for training in trainings):
        return None
    right = np.stack([training.kept.right for training in trainings])
    interval = accuracy_interval(right)
    trained, validated = sum(accuracies) / len(accuracies), float(right.mean())
    low, high = trained - interval.high, trained - interval.low
    first = trainings[0].record
    if not first.has_epochs:  # scored on some of the training images only: theirs varies too (Newcombe 1998, method 10)
        own = Interval.wilson(round(trained * first.train.count), first.train.count)
        low = trained - validated - math.hypot(trained - own.low, interval.high - validated)
        high = trained - validated + math.hypot(own.high - trained, validated - interval.low)
    return {
        "training": trained,
        "validation": validated,
        "gap": trained - validated,
        "interval": [low, high],
        "large": low > _LARGE_GAP,
    }


def _positive_since(numbers: Sequence[int], values: Sequence[float]) -> int | None:
    """The epoch from which on all values are above 0; None if the last one is not."""
    since = None
    for epoch, value in zip(numbers, values, strict=True):
        since = None if value <= 0 else since or epoch
    return since


def _class_spreads(trainings: Sequence[SeedTraining]) -> dict[str, Any]:
    """The recall of each class over the seeds, and the pair that each of them mixes up most."""
    found = [Classes.of(training.shown, training.shown_epoch) for training in trainings]
    first = [classes.pairs[0] if classes.pairs else None for classes in found]
    recalls = zip(*([one.accuracy for one in classes.scores.per_class] for classes in found), strict=True)
    return {
        "recall": [_spread(value for value in values if value is not None) for values in recalls],
        "accuracy": _spread(classes.scores.accuracy for classes in found),
        "interval": list(accuracy_interval(np.stack([one.kept.right for one in trainings]))),
        "loss": _spread(training.kept.mean_loss for training in trainings),
        "shown_epochs": _span([training.shown_epoch for training in trainings]),
        "most_mixed": [
            None if pair is None else sorted([pair.directions[0].label, pair.directions[0].predicted]) for pair in first
        ],
    }


def _agreement(trainings: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Change]]) -> dict[str, int]:
    """With how many seeds the same is found: the verdict on the kept weights' confidence, what carries the rise.

    Args:
        trainings: the facts of each seed.
        changes: the default changes of each seed.
    """
    splits = [training["shown"]["calibration"] for training in trainings]
    verdicts = [None if split is None else split["verdict"] for split in splits]
    return {
        "seeds": len(trainings),
        "overconfident": verdicts.count("overconfident"),
        "underconfident": verdicts.count("underconfident"),
        "stayed_wrong_carries": sum(stayed_wrong_carries(one["best_loss"].to_dict()) for one in changes),
    }


def _spread(values: Iterable[float]) -> dict[str, Any] | None:
    found = list(values)
    return Spread.of(found).to_dict() if found else None
