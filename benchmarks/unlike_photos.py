"""Compares ways to tell that a photo is unlike those that a classifier on a backbone was trained on.

Usage: python -m benchmarks.unlike_photos PHOTOS [--half choose|report|all] [--repetitions 30]

PHOTOS has a folder of photographs for each class. In each repetition three classes are left out. Of the photos of the
others one half trains a logistic regression on the backbone's features, a quarter is held out, and each way gets its
threshold there: the one at which 5% of them are refused. Then the share that is refused is counted of the last quarter
(`alarms`), of the photos of the classes left out, and of images that are no such photos. What is used was chosen with
`--half choose`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import markdown_table
from benchmarks.photos import is_reported
from fittingroom import load
from fittingroom.answers.out_of_distribution import NeighbourDetector, unit_features
from fittingroom.answers.recalibration import conformal_quantile
from fittingroom.backbones.backbone import find_backbone
from fittingroom.text import percent

Floats = NDArray[np.floating[Any]]
LEFT_OUT = 3
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Split:
    """Features, labels and what the classifier makes of the photos that train it and of those held out."""

    bank: Floats
    bank_labels: NDArray[np.int64]
    held_out: Floats
    labels: NDArray[np.int32]
    logs: Floats


Refuses = Callable[[Floats, Floats], NDArray[np.bool_]]  # features and logarithms of probabilities


def as_used(split: Split) -> Refuses:
    """What answers rest on: held-out photos compared with each other."""
    rule = NeighbourDetector.of(unit_features(split.held_out), split.labels, split.logs)
    return lambda found, logs: rule.detect(unit_features(found), logs)[0]


def confidence(split: Split) -> Refuses:
    """The probability of the predicted class alone."""
    return _refuses(-split.logs.max(axis=1), lambda _, logs: -logs.max(axis=1))


def neighbours_in_training(centred: bool) -> Callable[[Split], Refuses]:
    """The distance to the k-th nearest training photo of the predicted class, and twice the share of low confidence."""

    def way(split: Split) -> Refuses:
        middle = split.bank.mean(axis=0) if centred else 0.0
        bank = _unit(split.bank - middle)

        def far(found: Floats, logs: Floats) -> Floats:
            apart = 2 - 2 * _unit(found - middle) @ bank.T
            named = logs.argmax(axis=1)
            own = [np.sort(row[split.bank_labels == label]) for row, label in zip(apart, named, strict=True)]
            return np.array([row[min(10, max(1, len(row) // 10)) - 1] for row in own])

        distances, unsure = np.sort(far(split.held_out, split.logs)), np.sort(-split.logs.max(axis=1))

        def rarity(found: Floats, logs: Floats, new: int = 1) -> Floats:
            count = len(unsure) + new
            beyond = count - np.searchsorted(distances, far(found, logs))
            return np.asarray(np.minimum(beyond, 2 * (count - np.searchsorted(unsure, -logs.max(axis=1)))) / count)

        threshold = -conformal_quantile(np.sort(-rarity(split.held_out, split.logs, 0)), FALSE_ALARMS)
        return lambda found, logs: rarity(found, logs) < threshold

    return way


def _refuses(scores: Floats, score: Callable[[Floats, Floats], Floats]) -> Refuses:
    threshold = conformal_quantile(np.sort(scores), FALSE_ALARMS)
    return lambda found, logs: score(found, logs) > threshold


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


WAYS: dict[str, Callable[[Split], Refuses]] = {
    "held-out photos (used)": as_used,
    "training photos": neighbours_in_training(centred=False),
    "training photos, features centred": neighbours_in_training(centred=True),
    "confidence": confidence,
}


def others(photos: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Images that are no photographs of clothes, sixty of each kind."""
    random = np.random.default_rng(0)
    flat = np.broadcast_to(random.integers(0, 256, (60, 1, 1, 3)), (60, 224, 224, 3)).astype(np.uint8)
    return {
        "digits": (load("digits").train.images[:60] * 15.9).astype(np.uint8),
        "Fashion-MNIST": np.asarray(load("fashion-mnist").train.images[:60]),
        "noise": random.integers(0, 256, (60, 224, 224, 3)).astype(np.uint8),
        "one colour": flat,
        "negatives": 255 - photos[:: max(len(photos) // 60, 1)],
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the table."""
    from sklearn.linear_model import LogisticRegression

    parser = argparse.ArgumentParser(prog="python -m benchmarks.unlike_photos", description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--half", choices=("choose", "report", "all"), default="choose")
    parser.add_argument("--repetitions", type=int, default=30)
    given = parser.parse_args(arguments)
    dataset = load(f"folder:{given.photos}", image_size=224, aspect="crop", color_mode="rgb", validation=0)
    part, wanted = dataset.train, {"choose": (False,), "report": (True,), "all": (False, True)}[given.half]
    chosen = np.array([is_reported(Path(file)) in wanted for file in part.files])
    photos, labels = np.asarray(part.images)[chosen], part.labels[chosen]
    features = find_backbone("efficientnet-lite0").frozen().features
    own, kinds = features(photos), {name: features(images) for name, images in others(photos).items()}
    random, shares = np.random.default_rng(0), dict[tuple[str, str], list[float]]()
    for _ in range(given.repetitions):
        out = np.isin(labels, random.choice(len(part.classes), LEFT_OUT, replace=False))
        order = random.permutation(np.flatnonzero(~out))
        trained, held_out, fresh = np.split(order, [len(order) // 2, 3 * len(order) // 4])
        scale = own[trained].std()
        model = LogisticRegression(C=0.1, max_iter=300).fit(own[trained] / scale, labels[trained])
        place = {label: number for number, label in enumerate(model.classes_.tolist())}
        numbered = np.array([place.get(label, 0) for label in labels.tolist()], np.int32)

        def logs(found: Floats) -> Floats:
            return np.asarray(model.predict_log_proba(found / scale))  # noqa: B023 - called in this turn alone

        split = Split(own[trained], numbered[trained], own[held_out], numbered[held_out], logs(own[held_out]))
        seen = {"alarms": own[fresh], "other classes": own[out], **kinds}
        for name, way in WAYS.items():
            refuses = way(split)
            for kind, found in seen.items():
                shares.setdefault((name, kind), []).append(float(refuses(found, logs(found)).mean()))
    columns = ["alarms", "other classes", *kinds]
    rows = [(name, *(percent(float(np.mean(shares[name, kind]))) for kind in columns)) for name in WAYS]
    sys.stdout.write(markdown_table([("by", *columns), *rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
