"""Compares ways to tell that an image is unlike Fashion-MNIST: the share refused of each kind of image.

Usage: python -m benchmarks.unlike PHOTOS [--run RUN]... [--half choose|report|all]

PHOTOS has a folder of photographs for each class, as for `benchmarks.photos`. Each way has a threshold at which 5% of
the validation images are refused, and is fitted on these alone; the sealed test set stays closed. `alarms` is the share
of one half of the validation images that is refused when the other half is all there is to fit on. Without `--run`, the
recipe `course` is trained first. What is used was chosen with `--half choose`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import markdown_table
from benchmarks.photos import Mapped, converted, naive, photos_in, read_mapping
from fittingroom import Run, load, open_run, train
from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import FALSE_ALARMS, NEIGHBOUR, NeighbourDetector, hog_features
from fittingroom.answers.recalibration import at_temperature
from fittingroom.data.dataset import Part
from fittingroom.evaluation.trajectories import _first_half
from fittingroom.photos.conversion import Style
from fittingroom.text import percent

Floats = NDArray[np.floating[Any]]
_MAPPING = Path(__file__).with_name("photos.toml")


@dataclass(frozen=True, eq=False)
class Seen:
    """Images, and what a model makes of them: numbers of its last hidden layer `(n, d)`, and logits `(n, classes)`."""

    images: NDArray[np.uint8]
    hidden: Floats
    logits: Floats

    def part(self, chosen: NDArray[np.bool_]) -> Seen:
        """Some of them."""
        return Seen(self.images[chosen], self.hidden[chosen], self.logits[chosen])


Score = Callable[[Seen, bool], Floats]
"""The larger, the less like. The second argument says whether these are the very images that it was fitted on."""


def seen_by(run: Run) -> Callable[[NDArray[np.uint8]], Seen]:
    """A function that shows images to a recipe's model."""
    import keras

    model = run.model
    inner = next(part for part in model._flatten_layers() if part.name == "classifier")
    last = inner.get_layer("classes")
    weights, bias = last.get_weights()
    hidden = keras.Model(inner.inputs, last.input)

    def see(images: NDArray[np.uint8]) -> Seen:
        found = np.asarray(hidden.predict(images / np.float32(255), verbose=0), np.float64)
        return Seen(images, found, found @ weights + bias)

    return see


def log_sum(logits: Floats) -> Floats:
    """The logarithm of the sum of exponentials of each row."""
    return np.asarray(np.logaddexp.reduce(logits, axis=1))


def unit(rows: Floats) -> Floats:
    """Each row at length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))


def neighbour(space: Callable[[Seen], Floats], fitted: Seen) -> Score:
    """The distance to the k-th nearest of the fitted images in a space."""
    bank = space(fitted)

    def score(seen: Seen, own: bool) -> Floats:
        k = NEIGHBOUR if own else NEIGHBOUR - 1  # the nearest of an image's own is itself
        parts = []
        for part in np.array_split(space(seen), -(-len(seen.images) // 500)):
            squares = (part**2).sum(axis=1)[:, None] + (bank**2).sum(axis=1) - 2 * part @ bank.T
            parts.append(np.partition(squares, k, axis=1)[:, k])
        return np.concatenate(parts)

    return score


def mahalanobis(fitted: Seen, labels: NDArray[Any]) -> Score:
    """The distance to the nearest class mean of the normalised last hidden layer, in its covariance within classes."""
    rows = unit(fitted.hidden)
    means = np.stack([rows[labels == label].mean(axis=0) for label in np.unique(labels)])
    covariance = np.cov((rows - means[labels]).T)
    covariance += 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))

    def score(seen: Seen, own: bool) -> Floats:
        del own
        apart = (unit(seen.hidden) @ whitening)[:, None] - means @ whitening
        return np.asarray((apart**2).sum(axis=2).min(axis=1))

    return score


def by_shape(rule: NeighbourDetector, labels: NDArray[Any]) -> Score:
    """A half of what is used: the distance to the k-th nearest HOG features of the predicted class."""

    def score(seen: Seen, own: bool) -> Floats:
        return rule.distances(hog_features(seen.images, 255.0), seen.logits.argmax(axis=1), _itself(labels, own))

    return score


def by_shape_and_confidence(rule: NeighbourDetector, labels: NDArray[Any], temperature: float) -> Score:
    """What is used: both shares of held-out images, of unusual shape and of low confidence, weighed together."""

    def score(seen: Seen, own: bool) -> Floats:
        scaled = at_temperature(seen.logits, temperature)
        return -rule.rarity(hog_features(seen.images, 255.0), scaled, _itself(labels, own))

    return score


def _itself(labels: NDArray[Any], own: bool) -> NDArray[np.intp] | None:
    return np.argsort(np.argsort(labels, kind="stable")) if own else None  # the rule has them by class


def ways(fitted: Seen, labels: NDArray[Any]) -> dict[str, Score]:
    """Every way, fitted."""
    temperature = Judgement.of(fitted.logits, labels).temperature
    scaled = at_temperature(fitted.logits, temperature)
    rule = NeighbourDetector.of(hog_features(fitted.images, 255.0), labels, scaled)
    return {
        "largest probability": lambda seen, _: -at_temperature(seen.logits, temperature).max(axis=1),
        "energy": lambda seen, _: -log_sum(seen.logits / temperature),
        "neighbour, last hidden layer": neighbour(lambda seen: seen.hidden, fitted),
        "the same, normalised": neighbour(lambda seen: unit(seen.hidden), fitted),
        "Mahalanobis, normalised": mahalanobis(fitted, labels),
        "neighbour, pixels": neighbour(lambda seen: seen.images.reshape(len(seen.images), -1) / 255.0, fitted),
        "neighbour, HOG features": neighbour(lambda seen: hog_features(seen.images, 255.0) / 255.0, fitted),
        "the same, of the predicted class": by_shape(rule, labels),
        "and largest probability": by_shape_and_confidence(rule, labels, temperature),
    }


def digits(size: int) -> NDArray[np.uint8]:
    """scikit-learn's 8x8 digits, enlarged, in the middle of 28x28."""
    from PIL import Image
    from sklearn.datasets import load_digits

    frame = (28 - size) // 2
    rows = [Image.fromarray((image * 15.9).astype(np.uint8)) for image in load_digits().images]
    large = [np.asarray(row.resize((size, size), Image.Resampling.BILINEAR)) for row in rows]
    return np.pad(np.stack(large), ((0, 0), (frame, frame), (frame, frame)))


def kinds(folder: Path, half: str, mapping: Mapped) -> dict[str, NDArray[np.uint8]]:
    """Images by their kind: all that should be refused, and at the end photographs of clothes that should not."""
    generator = np.random.default_rng(0)
    style = Style.of(load().name, load().train)
    paths = photos_in(folder, mapping, half)
    new = [path for path in paths if not mapping.right[path.parent.name]]
    apart = [path for path in paths if path.parent.name in mapping.apart]
    known = [path for path in paths if path not in new and path not in apart]
    through = {"cut out: no class": new, "cut out: shoes": apart, "cut out: clothes": known}
    return {
        "digits 28": digits(28),
        "digits 20": digits(20),
        "uniform": generator.integers(0, 256, (500, 28, 28)).astype(np.uint8),
        "Gaussian": np.clip(generator.normal(128, 64, (500, 28, 28)), 0, 255).astype(np.uint8),
        "faint": np.clip(generator.normal(0, 40, (500, 28, 28)), 0, 255).astype(np.uint8),
        "flat": np.arange(256, dtype=np.uint8).repeat(28 * 28).reshape(256, 28, 28),
        "resized": np.stack([naive(path, (28, 28)) for path in paths]),
        "negatives": 255 - np.stack([naive(path, (28, 28)) for path in paths]),
        **{name: np.stack([converted(path, style) for path in some]) for name, some in through.items() if some},
    }


def refused(run: Run, validation: Part, images: Mapping[str, NDArray[np.uint8]]) -> list[tuple[str, ...]]:
    """A row for each way: the share of each kind that it refuses, and its false alarms."""
    see, labels = seen_by(run), validation.labels
    held_out, one = see(validation.images), _first_half(validation.labels)
    shown = {name: see(some) for name, some in images.items()}
    halves = ways(held_out.part(one), labels[one])
    rows = []
    for name, score in ways(held_out, labels).items():
        threshold = np.quantile(score(held_out, True), 1 - FALSE_ALARMS)
        half = np.quantile(halves[name](held_out.part(one), True), 1 - FALSE_ALARMS)
        alarms = float((halves[name](held_out.part(~one), False) > half).mean())
        shares = [float((score(some, False) > threshold).mean()) for some in shown.values()]
        rows.append((name, percent(alarms), *(percent(share) for share in shares)))
    return rows


def main(arguments: list[str]) -> int:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unlike")
    parser.add_argument("folder", metavar="PHOTOS", type=Path)
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("--half", choices=("choose", "report", "all"), default="choose")
    options = parser.parse_args(arguments)
    images = kinds(options.folder, options.half, read_mapping(_MAPPING))
    validation = load().validation
    assert validation is not None
    with tempfile.TemporaryDirectory() as folder:
        runs = [open_run(run) for run in options.run] or [train(out=Path(folder, "run"))]
        for run in runs:
            header = ("refused by", "alarms", *(f"{name} ({len(some):,})" for name, some in images.items()))
            print(f"\n{run.record.recipe['name']}\n\n{markdown_table([header, *refused(run, validation, images)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
