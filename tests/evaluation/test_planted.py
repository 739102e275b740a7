"""Wrong labels that were planted in the validation part of a real training are found among the images."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import fittingroom as fr
from fittingroom.evaluation.image_lists import ImageLists
from fittingroom.evaluation.trajectories import Trajectories

FLIPPED = 50


def found_of_planted(name: str, training: int, validation: int, epochs: int, neurons: int) -> int:
    """How many of 50 flipped validation labels are among the first 100 of the list."""
    part = fr.load(name, validation=0).train
    random = np.random.default_rng(0)
    order = random.permutation(len(part.y))
    learn, check = order[:training], order[training : training + validation]
    labels = np.asarray(part.y)[check]
    flipped = random.choice(validation, FLIPPED, replace=False)
    labels[flipped] = (labels[flipped] + random.integers(1, 10, FLIPPED)) % 10
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(neurons, activation="relu")
    model = keras.Sequential([layers.Flatten(), hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    data = (part.x[check], labels)
    run = fr.fit(model, part.x[learn], np.asarray(part.y)[learn], validation_data=data, epochs=epochs, verbose=0)
    outcomes = run.outcomes
    assert outcomes is not None
    trajectories = Trajectories(
        outcomes.loss,
        outcomes.predicted,
        outcomes.probability,
        outcomes.labels,
        tuple("0123456789"),
        tuple(range(1, epochs + 1)),
    )
    listed = ImageLists(trajectories, 100).ever_more_confident(1, epochs).images
    return len({image.index for image in listed} & set(flipped.tolist()))


@pytest.fixture(autouse=True)
def _own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path))


def test_flipped_labels_of_digits_are_found() -> None:
    assert found_of_planted("digits", training=400, validation=1037, epochs=30, neurons=64) >= 40


@pytest.mark.slow
def test_flipped_labels_of_fashion_mnist_are_found() -> None:
    assert found_of_planted("fashion-mnist", training=20_000, validation=5_000, epochs=20, neurons=256) >= 40
