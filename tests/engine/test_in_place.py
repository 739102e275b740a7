"""Large images are trained on where they lie: nothing is copied, by one device or by two, and nothing changes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine import arrays
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.devices import Sharing
from fittingroom.engine.epoch import ImagesInPlace
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

LYING: dict[str, Callable[[Any], Any]] = {
    "float32": lambda x: x,
    "float32, from the second image on": lambda x: np.concatenate([x[:1], x])[1:],
    "uint8": lambda x: (x * 16).astype(np.uint8),
    "uint8, from the second image on": lambda x: (np.concatenate([x[:1], x]) * 16).astype(np.uint8)[1:],
    "every second column": lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
    "float64": np.float64,
}


class Watches(keras.callbacks.Callback):
    """Is called after every batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Does nothing."""


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images stay where they are, too."""
    monkeypatch.setattr(arrays, "LEAST_BYTES_IN_PLACE", 0)


def test_where_images_lie_changes_no_bit(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(lying: Callable[[Any], Any]) -> list[Any]:
        model = models.small()
        held_out = (lying(digits.x_val), digits.y_val)
        run = fittingroom.fit(
            model, lying(digits.x), digits.y, epochs=2, batch_size=16, validation_data=held_out, verbose=0, out=False
        )
        assert run.outcomes is not None
        return [*model.get_weights(), run.outcomes.loss, list(run.history.values())]

    copied = {name: trained(lying) for name, lying in LYING.items()}
    monkeypatch.setattr(arrays, "LEAST_BYTES_IN_PLACE", 0)
    for name, lying in LYING.items():
        for mine, other in zip(trained(lying), copied[name], strict=True):
            np.testing.assert_array_equal(mine, other, err_msg=name)


@pytest.mark.usefixtures("in_place")
def test_no_device_copies_large_images_and_all_read_one_memory() -> None:
    images = np.random.default_rng(0).random((60, 8, 8), np.float32)
    for first in range(4):  # rows of 256 bytes: all lie alike beside a multiple of 64
        alone = Arrays(images[first:], np.zeros(60 - first, np.int32)).examples()
        lying: Any = alone.images
        assert isinstance(lying, ImagesInPlace)
        address = lying.numbers.unsafe_buffer_pointer()
        within = address + 4 * int(lying.start)
        assert within == images[first:].ctypes.data
    np.testing.assert_array_equal(lying[np.array([5, 0])], images[3:][[5, 0]])
    np.testing.assert_array_equal(lying.piece(7, 2), images[3:][7:9])
    devices = jax.local_devices()
    with jax.default_device(devices[-1]):
        other: Any = Arrays(images[3:], np.zeros(57, np.int32)).examples().images
    assert other.numbers.unsafe_buffer_pointer() == address
    if len(devices) > 1:
        shared: Any = Sharing(2).compiled(Sharing(2).jitted(lambda examples: examples.labels.sum()), (alone,))
        assert int(shared(alone)) == 0
        parts = shared._copies(0, alone).images.numbers.addressable_shards
        assert {part.data.unsafe_buffer_pointer() for part in parts} == {address}


@pytest.mark.usefixtures("in_place")
def test_images_are_let_go_after_training(digits: Images) -> None:
    model, images = models.small(), digits.x.copy()
    gone = weakref.ref(images)
    fittingroom.fit(model, images, digits.y, callbacks=[Watches()], verbose=0)
    fittingroom.fit(model, images, digits.y, verbose=0)
    del images
    gc.collect()
    assert gone() is None
