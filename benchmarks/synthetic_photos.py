"""Measures runs on synthetic photos, made from validation images of Fashion-MNIST: how often each class is right.

Usage: python -m benchmarks.synthetic_photos --run RUN [--run RUN]... [--images N]

Each image is enlarged, turned, widened, bent, folded and lit at random (`synthetic_photo`), laid on a floor of another
colour, and goes the whole way of a photo. Shoes are left out: nobody lays them flat. Photographs at hand are few, and
each is worth a point; these are as many as validation images, their labels are known, and what is chosen by them is
chosen without any photograph. The images on which a run's answers to photos are recalibrated are left out. How the
changes are drawn was set by eye, and not adjusted to what came out. They are not photographs: they show how much
better one model is than another, not how good it is.
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
from fittingroom.answers.predictor import SYNTHETIC
from fittingroom.evaluation.spread import Interval
from fittingroom.photos.conversion import Conversion, ForegroundStyle, Style
from fittingroom.photos.synthetic import smooth_noise, synthetic_photo
from fittingroom.text import percent, percent_range

_LEFT_OUT = ("Sandal", "Sneaker", "Ankle boot")


def on_a_floor(image: NDArray[np.uint8], style: ForegroundStyle, random: np.random.Generator) -> Image.Image:
    """A photograph of the foreground of an image `(height, width)`, on a floor of another colour."""
    import cv2

    picture, mask = synthetic_photo(image.astype(np.float32), style, random)
    cloth, share = picture.astype(np.float32), cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
    floor = random.uniform(40, 230) + smooth_noise(mask.shape, 6, random) * random.uniform(0, 12)
    floor += random.normal(size=mask.shape) * random.uniform(0, 6)
    light = [
        cloth * tint * share + floor * ground * (1 - share)
        for tint, ground in random.uniform(0.7, 1.0, (3, 2))  # colours, the same for all of foreground or floor
    ]
    return Image.fromarray(np.rint(np.clip(np.stack(light, axis=2), 0, 255)).astype(np.uint8))


def rows_of(labels: NDArray[Any], named: NDArray[Any], classes: Sequence[str]) -> list[tuple[str, ...]]:
    """A row for all and for each class: how many, the share right, and how often it is named for each that there is."""
    right = int((labels == named).sum())
    rows: list[tuple[str, ...]]
    rows = [
        ("all", str(len(labels)), percent(right / len(labels)), percent_range(Interval.wilson(right, len(labels))), "")
    ]
    for label in np.unique(labels):
        here, mine = labels == label, named == label
        found = int((here & mine).sum())
        interval = percent_range(Interval.wilson(found, int(here.sum())))
        often = f"{mine.sum() / here.sum():.2f}"
        rows.append((classes[label], str(here.sum()), percent(found / here.sum()), interval, often))
    return rows


def main(arguments: list[str]) -> int:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_photos")
    parser.add_argument("--run", action="append", required=True)
    parser.add_argument("--images", type=int, default=1_400, help="validation images, at most")
    options = parser.parse_args(arguments)
    data = load()
    style = Style.of(data.name, data.train)
    assert data.validation is not None
    assert style.foreground is not None
    images, labels = data.validation.images[SYNTHETIC:], data.validation.labels[SYNTHETIC:]
    kept = ~np.isin(labels, [data.classes.index(name) for name in _LEFT_OUT])
    images, labels, random = images[kept][: options.images], labels[kept][: options.images], np.random.default_rng(0)
    converted = np.stack([Conversion.of(on_a_floor(image, style.foreground, random), style).image for image in images])
    for path in options.run:
        run = open_run(path)
        named = np.array([data.classes.index(answer.label) for answer in answers_of(run, converted, cut_out=True)])
        header = ("made of", "number", "right", "95%", "named, times as often")
        print(f"\n{run.record.recipe['name']}\n\n{markdown_table([header, *rows_of(labels, named, data.classes)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
