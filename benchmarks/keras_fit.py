"""Trains a Keras model that was handed over as JSON, on whichever backend KERAS_BACKEND names. Needs Keras alone.

Usage: python -m benchmarks.keras_fit FOLDER

FOLDER holds Fashion-MNIST's form of gzip files and `task.json`: the model with how it is compiled (`model.to_json()`),
the batch size, the number of epochs, and whether pixels are scaled to 0–1. Prints the seconds of each epoch as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras

from benchmarks.course_script import EpochTimes, read


def main() -> None:
    """Trains and prints."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    images, labels = read(folder, "train")
    images = images if task["scale"] else images * 255
    model = keras.models.model_from_json(task["model"])
    times = EpochTimes()
    model.fit(images, labels, batch_size=task["batch_size"], epochs=task["epochs"], callbacks=[times], verbose=0)
    print(json.dumps(times.seconds))


if __name__ == "__main__":
    main()
