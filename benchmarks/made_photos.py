"""Measures runs on photographs made from validation images of Fashion-MNIST: how often right, and what for what.

Usage: python -m benchmarks.made_photos --run RUN [--run RUN]... [--images N]

Each image is enlarged, turned, widened, bent, folded and lit at random, laid on a floor of another colour, and goes the
whole way of a photo (`photos.conversion`). Shoes are left out: nobody lays them flat. Photographs at hand are few, and
each is worth a point; these are as many as validation images, their labels are known, and what is chosen by them is
chosen without any photograph. How the changes are drawn was set by eye, and not adjusted to what came out. They are no
photographs: they show how much better one model is than another, not how good it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.pairs import markdown_table
from benchmarks.photos import answers_of
from fittingroom import load, open_run
from fittingroom.cli.answer import percent, percent_range
from fittingroom.evaluation.intervals import wilson
from fittingroom.photos.conversion import convert
from fittingroom.photos.style import style_of

_LEFT_OUT = ("Sandal", "Sneaker", "Ankle boot")
_SCALE = 8  # pixels of a photo for each of the image
_FRAME = 10  # pixels of the image, of floor on each side
_DARK = 12  # of 255: what is darker is no part of the thing

Floats = NDArray[np.float32]


def made_photo(image: NDArray[np.uint8], generator: np.random.Generator) -> Image.Image:
    """A photograph of the thing in an image `(height, width)` of a bright thing on black."""
    import cv2

    mask = cv2.morphologyEx((image > _DARK).astype(np.float32), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    down, right = _places(image.shape, generator)
    thing = np.asarray(cv2.remap(image.astype(np.float32), right, down, cv2.INTER_CUBIC), np.float32)
    share = cv2.GaussianBlur((cv2.remap(mask, right, down, cv2.INTER_LINEAR) > 0.5).astype(np.float32), (5, 5), 0)
    cloth = _lit(thing, share > 0.5, generator)
    floor = generator.uniform(40, 230) + _blotches(cloth.shape, 6, generator) * generator.uniform(0, 12)
    floor += generator.normal(size=cloth.shape) * generator.uniform(0, 6)
    light = [
        cloth * tint * share + floor * ground * (1 - share)
        for tint, ground in generator.uniform(0.7, 1.0, (3, 2))  # colours, the same for all of the thing or floor
    ]
    return Image.fromarray(np.rint(np.clip(np.stack(light, axis=2), 0, 255)).astype(np.uint8))


def _places(shape: tuple[int, ...], generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Where each pixel of the photo lies in the image, in its rows and columns: turned, mirrored, widened, bent."""
    sides = [side + 2 * _FRAME for side in shape]
    rows, columns = np.mgrid[: sides[0] * _SCALE, : sides[1] * _SCALE].astype(np.float32)
    down, right = rows / _SCALE - sides[0] / 2, columns / _SCALE - sides[1] / 2
    angle, wider = np.radians(generator.normal(0, 8)), np.exp(generator.uniform(-0.1, 0.4))
    mirrored = generator.choice((-1, 1))
    bends = [_blotches(rows.shape, 5, generator) * generator.uniform(0, 1) for _ in range(2)]
    turned = np.cos(angle) * down + np.sin(angle) * right, np.cos(angle) * right - np.sin(angle) * down
    return (
        np.asarray(turned[0] + bends[0] + (shape[0] - 1) / 2, np.float32),
        np.asarray(mirrored * turned[1] / wider + bends[1] + (shape[1] - 1) / 2, np.float32),
    )


def _lit(thing: Floats, mask: NDArray[np.bool_], generator: np.random.Generator) -> Floats:
    """The brightness of the cloth: its own differences, stronger or weaker, folds, light from one side, any level."""
    height, width = thing.shape
    values = (thing - thing[mask].mean()) * np.exp(generator.normal(0, 0.4))
    for least, most, strength in ((5, 14, 45), (12, 28, 25)):  # wide folds and small ones
        cells = int(generator.integers(least, most))
        values += _blotches(thing.shape, cells, generator) * generator.uniform(0, strength)
    slope = generator.normal(0, 15, 2)
    values += slope[0] * np.linspace(-1, 1, height)[:, None] + slope[1] * np.linspace(-1, 1, width)
    return np.asarray(np.clip(values + generator.uniform(60, 200), 0, 255), np.float32)


def _blotches(shape: tuple[int, ...], cells: int, generator: np.random.Generator) -> Floats:
    """Smooth noise with mean 0 and a deviation of about 1, so many blotches high and wide."""
    import cv2

    coarse = generator.normal(size=(cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def rows_of(labels: NDArray[Any], named: NDArray[Any], classes: Sequence[str]) -> list[tuple[str, ...]]:
    """A row for all and for each class: how many, the share right, and how often it is named for each that there is."""
    right = int((labels == named).sum())
    rows: list[tuple[str, ...]]
    rows = [("all", str(len(labels)), percent(right / len(labels)), percent_range(wilson(right, len(labels))), "")]
    for label in np.unique(labels):
        here, mine = labels == label, named == label
        found = int((here & mine).sum())
        interval = percent_range(wilson(found, int(here.sum())))
        often = f"{mine.sum() / here.sum():.2f}"
        rows.append((classes[label], str(here.sum()), percent(found / here.sum()), interval, often))
    return rows


def main(arguments: list[str]) -> int:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.made_photos")
    parser.add_argument("--run", action="append", required=True)
    parser.add_argument("--images", type=int, default=1_500, help="validation images, at most")
    options = parser.parse_args(arguments)
    data = load()
    assert data.validation is not None
    style, generator = style_of(data), np.random.default_rng(0)
    kept = ~np.isin(data.validation.labels, [data.classes.index(name) for name in _LEFT_OUT])
    images, labels = (each[kept][: options.images] for each in (data.validation.images, data.validation.labels))
    converted = np.stack([convert(made_photo(image, generator), style).image for image in images])
    for path in options.run:
        run = open_run(path)
        named = np.array([data.classes.index(answer.label) for answer in answers_of(run, converted)])
        header = ("made of", "number", "right", "95%", "named, times as often")
        print(f"\n{run.record.recipe['name']}\n\n{markdown_table([header, *rows_of(labels, named, data.classes)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
