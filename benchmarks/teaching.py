"""How good the forecast of `fittingroom teach` is: `python -m benchmarks.teaching PHOTOS`.

Of a folder of photos in classes, some of each class are taken as those that there are. What ten more of each class
would bring is forecast from them, and compared with what ten more bring: the accuracy on the photos that are left.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fittingroom.backbones.backbone import find_backbone
from fittingroom.backbones.feature_cache import cached_features
from fittingroom.data.decode import all_pictures
from fittingroom.data.resizing import Resizing
from fittingroom.evaluation.learning_curve import MORE
from fittingroom.training.photo_features import PhotoFeatures
from fittingroom.training.photo_head import PhotoHead, fit_photo_head, measured_curve

HAVE = (5, 10, 15)
DRAWS = 12
LATER = 4
"""How often more photos are drawn, whose accuracies are averaged."""


def main() -> None:
    """Prints a row for each number of photos that there are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    frozen = find_backbone("efficientnet-lite0").frozen()
    part, _ = all_pictures(parser.parse_args().photos, frozen.input_size, frozen.input_size, Resizing("crop", "rgb"))
    pooled, labels = np.asarray(cached_features(frozen, part.images), np.float32), part.labels
    random = np.random.default_rng(0)

    def of(rows: np.ndarray) -> PhotoFeatures:
        none, count = np.zeros((len(rows), 0)), len(part.classes)
        return PhotoFeatures(pooled[rows], none, labels[rows], (None,) * count, np.ones(len(rows), np.bool_))

    def drawn(rows: np.ndarray, each: int) -> np.ndarray:
        own = [random.permutation(rows[labels[rows] == label])[:each] for label in range(len(part.classes))]
        return np.concatenate(own)

    def accuracy(head: PhotoHead, rows: np.ndarray) -> float:
        return float(((pooled[rows] @ head.kernel + head.bias).argmax(axis=1) == labels[rows]).mean())

    every = np.arange(len(labels))
    for have in HAVE:
        found = []
        for _ in range(DRAWS):
            there = drawn(every, have)
            known, rest = of(there), np.setdiff1d(every, there)
            head = fit_photo_head(known)
            curve = measured_curve(known, head)
            forecast = None if curve is None else curve.forecast(have + MORE)
            if curve is None or forecast is None:
                continue
            truth = []
            for _ in range(LATER):
                more = drawn(rest, MORE)
                truth.append(accuracy(fit_photo_head(of(np.concatenate([there, more]))), np.setdiff1d(rest, more)))
            low, high = forecast.interval
            held = low <= np.mean(truth) <= high
            now = accuracy(head, rest)
            found.append((curve.points[-1].accuracy, now, forecast.accuracy, np.mean(truth), held))
        checked, now_, ahead, true, held_ = np.array(found, float).T
        print(
            f"{have} a class: checked {checked.mean():.3f}, on new photos {now_.mean():.3f}, forecast for {MORE} more "
            f"{ahead.mean():.3f}, truth {true.mean():.3f}, mean error {np.abs(ahead - true).mean():.3f}, "
            f"intervals that held it {int(held_.sum())} of {len(found)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
