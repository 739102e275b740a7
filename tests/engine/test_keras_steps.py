"""What Keras does without being asked: the axis of a single channel."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import fittingroom as fr

layers = keras.layers


def classifier(*shape: int) -> keras.Model:
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(("given", "expected"), [((4, 4), (4, 4, 1)), ((4, 4, 1), (4, 4))])
def test_a_missing_or_superfluous_channel_axis_is_taken_as_keras_takes_it(
    given: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).random((9, *given)).astype(np.float32)
    labels = np.arange(9) % 3
    ours, theirs = classifier(*expected), classifier(*expected)
    theirs.set_weights(ours.get_weights())
    run = fr.fit(ours, images, labels, epochs=2, batch_size=4, shuffle=False, verbose=0, out=tmp_path / "run")
    history = theirs.fit(images, labels, epochs=2, batch_size=4, shuffle=False, verbose=0).history
    np.testing.assert_allclose(run.history["loss"], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(run.predict(images), theirs.predict(images, verbose=0), atol=1e-5)
    again = fr.open_run(run.path)
    np.testing.assert_array_equal(again.predict(images), run.predict(images))
