"""The course's first lab as its users run it: Keras alone, on whichever backend KERAS_BACKEND names.

Usage: course_script.py FOLDER [--epoch-times] [--unscaled]

FOLDER holds Fashion-MNIST's four gzip files. With --epoch-times the last line printed is a JSON list, the seconds of
each epoch, taken by a callback. With --unscaled the pixels stay 0 to 255, as in the course's exercise.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np


class EpochTimes(keras.callbacks.Callback):
    """Notes how long each epoch takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.start = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reads the clock."""
        self.seconds.append(time.perf_counter() - self.start)


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images, scaled to 0–1, and labels of `train` or `t10k`."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8, offset=8)
    return images / (1.0 if "--unscaled" in sys.argv else 255.0), labels


def main() -> None:
    """Trains for five epochs, then evaluates on the test set."""
    folder = Path(sys.argv[1])
    training_images, training_labels = read(folder, "train")
    test_images, test_labels = read(folder, "t10k")

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    times = [EpochTimes()] if "--epoch-times" in sys.argv else []
    model.fit(training_images, training_labels, epochs=5, callbacks=times)
    loss, accuracy = model.evaluate(test_images, test_labels)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")
    for callback in times:
        print(json.dumps(callback.seconds))


if __name__ == "__main__":
    main()
