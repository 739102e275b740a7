"""How often real images are taken for ones on another scale, and how often ones on another scale are missed.

`python -m benchmarks.ranges` looks at 1,000 validation images of Fashion-MNIST, each alone and all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fittingroom.data.load import load
from fittingroom.data.ranges import ValueRange

Array = np.ndarray[Any, Any]

CHANGES: dict[str, Callable[[Array], Array]] = {
    "as they are": lambda images: images,
    "half as bright": lambda images: images // 2,
    "a tenth": lambda images: images // 10,
    "a fiftieth": lambda images: images // 50,
    "inverted": lambda images: 255 - images,
    "black": lambda images: images * 0,
}


def _scales(train: Array) -> dict[str, Callable[[Array], Array]]:
    mean, deviation = train.mean(), train.std()
    return {
        "0-255": lambda images: images,
        "0-1": lambda images: images / np.float32(255),
        "-1 to 1": lambda images: images / np.float32(127.5) - 1,
        "standardised": lambda images: ((images - mean) / deviation).astype(np.float32),
        "0-16": lambda images: np.rint(images * np.float32(16 / 255)).astype(np.uint8),
    }


def _verdicts(values: ValueRange, images: Array) -> str:
    """How many of the images are refused and said alone, and what becomes of all at once."""
    alone = [values.difference(images[row : row + 1]) for row in range(len(images))]
    refused = sum(each is not None and each.meaningless for each in alone)
    said = sum(each is not None for each in alone) - refused
    together = values.difference(images)
    verdict = "nothing" if together is None else "refused" if together.meaningless else "said"
    return f"{refused} refused, {said} said | {verdict}"


def main() -> None:
    """Prints both tables, in Markdown."""
    data = load("fashion-mnist")
    assert data.validation is not None
    train, images = np.asarray(data.train.images), np.asarray(data.validation.images[:1000])
    scales = _scales(train)
    print("| trained on | given | each of 1,000 alone | all at once |\n|---|---|---|---|")
    for trained, convert in scales.items():
        values = ValueRange.of(convert(train))
        for name, change in CHANGES.items():
            print(f"| {trained} | the same, {name} | {_verdicts(values, convert(change(images)))} |")
        for name, other in scales.items():
            if name != trained:
                print(f"| {trained} | {name} | {_verdicts(values, other(images))} |")


if __name__ == "__main__":
    main()
