"""The core time of the course's training by `fr.fit`, by `model.fit` of `fittingroom.tf`, and from a tf.data.Dataset.

Usage: python -m benchmarks.stand_in [ROUNDS]

Three epochs on the 60,000 training images, batch 32, in one process; the sides take turns, and the first round, which
compiles, does not count. Printed are the medians in seconds of processor time, and the ratio to `fr.fit`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 3
EPOCHS = 3


def main(rounds: int) -> None:
    """Trains and prints."""
    import fittingroom as fr
    from fittingroom import tf

    data = fr.load("fashion-mnist", validation=0).train
    images, labels = data.images / 255.0, data.labels
    pipeline = (
        tf.data.Dataset
        .from_tensor_slices((data.images, labels))
        .map(lambda image, label: (tf.cast(image, tf.float32) / 255.0, label))
        .shuffle(60_000)
        .batch(32)
    )  # fmt: skip

    def model() -> Any:
        layers = tf.keras.layers
        made = tf.keras.Sequential(
            [
                tf.keras.Input((28, 28)),
                layers.Flatten(),
                layers.Dense(128, activation=tf.nn.relu),
                layers.Dense(10, activation=tf.nn.softmax),
            ]
        )
        made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return made

    sides: dict[str, Callable[[], Any]] = {
        "fr.fit": lambda: fr.fit(model(), images, labels, epochs=EPOCHS, verbose=0),
        "model.fit of fittingroom.tf": lambda: model().fit(images, labels, epochs=EPOCHS, verbose=0),
        "model.fit on a tf.data.Dataset": lambda: model().fit(pipeline, epochs=EPOCHS, verbose=0),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, train in sides.items():
            began = time.process_time()
            train()
            taken[name].append(time.process_time() - began)
    medians = {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}
    for name, seconds in medians.items():
        print(f"{name}: {seconds:.2f} s, {seconds / medians['fr.fit']:.2f} times fr.fit")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
