"""The course's second exercise with Keras alone, with five seeds: 15 trainings in one process.

Usage: python -m benchmarks.exercise2_script FOLDER

FOLDER holds Fashion-MNIST's four gzip files. KERAS_BACKEND names the backend. The first 5,000 training images are held
out, and validated on after each epoch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras

from benchmarks.course_script import read

SIZES = (128, 512, 1024)
SEEDS = range(5)
HELD_OUT = 5000


def main() -> None:
    """Trains, and prints the validation accuracies of each size as JSON."""
    images, labels = read(Path(sys.argv[1]), "train")
    train, validation = (images[HELD_OUT:], labels[HELD_OUT:]), (images[:HELD_OUT], labels[:HELD_OUT])
    accuracies: dict[int, list[float]] = {size: [] for size in SIZES}
    for size in SIZES:
        for seed in SEEDS:
            keras.utils.set_random_seed(seed)
            model = keras.Sequential(
                [
                    keras.Input((28, 28)),
                    keras.layers.Flatten(),
                    keras.layers.Dense(size, activation="relu"),
                    keras.layers.Dense(10, activation="softmax"),
                ]
            )
            model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
            history = model.fit(*train, epochs=5, validation_data=validation, verbose=0)
            accuracies[size].append(history.history["val_accuracy"][-1])
    print(json.dumps(accuracies))


if __name__ == "__main__":
    main()
