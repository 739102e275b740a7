"""Steps that are taken one by one, for an iterable or a callback that watches batches, hand their memory on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.errors import DivergedError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")


class OneBuffer:
    """Gives batches of 4, all in the same two arrays."""

    def __init__(self, images: Images) -> None:
        self.x, self.y = images.x, images.y

    def __iter__(self) -> Iterator[Any]:
        images, labels = np.empty_like(self.x[:4]), np.empty_like(self.y[:4])
        for start in range(0, 44, 4):
            images[:], labels[:] = self.x[start : start + 4], self.y[start : start + 4]
            yield images, labels
            images[:] = 0


class Evaluates(keras.callbacks.Callback):
    """Calls Keras's evaluate between batches, which gives away the memory of what the model holds."""

    def __init__(self, images: Images, stop: int | None = None) -> None:
        super().__init__()
        self.images, self.stop = images, stop
        self.weights: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch % 3 == 0:
            self.model.evaluate(self.images.x_val, self.images.y_val, verbose=0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.weights.append(self.model.get_weights()[0].copy())
        if batch % 3 == 1:
            self.model.evaluate(self.images.x_val, self.images.y_val, verbose=0)
        if batch == self.stop:
            raise RuntimeError("enough")


def test_watching_evaluating_and_filling_one_buffer_change_nothing(digits: Images) -> None:
    plain, watched, streamed = models.small(), models.small(), models.small()
    settings: dict[str, Any] = {"epochs": 2, "shuffle": False, "verbose": 0}
    fittingroom.fit(plain, digits.x, digits.y, batch_size=4, **settings)
    callback = Evaluates(digits)
    fittingroom.fit(watched, digits.x, digits.y, batch_size=4, callbacks=[callback], **settings)
    fittingroom.fit(streamed, OneBuffer(digits), **settings)
    assert len({weights.tobytes() for weights in callback.weights}) == 22, "each batch has weights of its own"
    np.testing.assert_array_equal(callback.weights[-1], plain.get_weights()[0])
    for others in (watched, streamed):
        for mine, other in zip(plain.variables, others.variables, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_a_callback_that_raises_leaves_the_model_with_the_weights_that_it_saw(digits: Images) -> None:
    model, callback = models.small(), Evaluates(digits, stop=4)
    with pytest.raises(RuntimeError, match="enough"):
        fittingroom.fit(model, digits.x, digits.y, batch_size=4, callbacks=[callback], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], callback.weights[-1])


@pytest.mark.parametrize("watched", [False, True])
def test_the_step_at_which_the_loss_is_no_number_is_named_although_later_ones_have_begun(
    watched: bool, digits: Images
) -> None:
    images = digits._replace(x=digits.x.copy())
    images.x[28] = 3e38  # in the eighth batch of four
    model = models.small()
    callbacks = [Evaluates(digits)] if watched else []
    with pytest.raises(DivergedError, match="at step 8"):
        fittingroom.fit(model, OneBuffer(images), epochs=1, steps_per_epoch=11, callbacks=callbacks, verbose=0)
    assert np.isfinite(model.get_weights()[0]).all()
