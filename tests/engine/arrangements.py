"""What the zoo gives to `fit`: arrays, iterables and callbacks, made anew for each of the two ways."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
from keras import callbacks, optimizers

from tests.engine.images import Images

Batch = tuple[Any, ...]


def arrays(images: Images, **more: Any) -> dict[str, Any]:
    return {"x": images.x, "y": images.y, **more}


def with_validation(images: Images) -> dict[str, Any]:
    return arrays(images, validation_data=(images.x_val, images.y_val))


def even(images: Images) -> Images:
    """As many of the images as fill whole batches of 16: with one shape of batch, half as much is compiled."""
    train, held_out = len(images.y) // 16 * 16, len(images.y_val) // 16 * 16
    return Images(images.x[:train], images.y[:train], images.x_val[:held_out], images.y_val[:held_out])


def plain(images: Images) -> dict[str, Any]:
    """Whole batches, no validation: for what matters in training only."""
    return arrays(even(images))


def validated(images: Images) -> dict[str, Any]:
    """Whole batches, and validation."""
    return with_validation(even(images))


def in_lists(images: Images) -> dict[str, Any]:
    return {"x": [images.x], "y": [images.y], "validation_data": ([images.x_val], [images.y_val])}


def in_batches_of_16(images: Images) -> dict[str, Any]:
    """Keras does not train such a model on anything else."""
    return {**validated(images), "batch_size": 16}


def jax_arrays(images: Images) -> dict[str, Any]:
    return {"x": jnp.asarray(images.x), "y": jnp.asarray(images.y), "validation_split": 0.25}


def bytes_(images: Images) -> dict[str, Any]:
    return {"x": np.uint8(images.x * 16), "y": np.uint8(images.y[:, None])}


def split_and_class_weight(images: Images) -> dict[str, Any]:
    return arrays(images, validation_split=0.5, class_weight={0: 2.0, 2: 0.5, 5: 0.0})


def ramp(count: int) -> Any:
    return np.linspace(0, 2, count, dtype=np.float32)


def sample_weights(images: Images) -> dict[str, Any]:
    held_out = (images.x_val, images.y_val, ramp(len(images.y_val)))
    return arrays(images, sample_weight=ramp(len(images.y)), validation_data=held_out)


def every_second_epoch(images: Images) -> dict[str, Any]:
    return validated(images) | {"epochs": 5, "validation_freq": 2}


def listed_epochs(images: Images) -> dict[str, Any]:
    return validated(images) | {"epochs": 4, "validation_freq": [1, 4]}


def initial_epoch(images: Images) -> dict[str, Any]:
    return arrays(images, initial_epoch=2, epochs=4, batch_size=len(images.y))


def two_steps(images: Images) -> dict[str, Any]:
    return with_validation(images) | {"epochs": 5, "steps_per_epoch": 2}


def steps_without_batch_size(images: Images) -> dict[str, Any]:
    return with_validation(images) | {"batch_size": None, "steps_per_epoch": 4}


def validation_steps(images: Images) -> dict[str, Any]:
    return validated(images) | {"validation_steps": 2, "validation_batch_size": 7}


class Dataset(keras.utils.PyDataset):
    """Batches of 11 that come in another order after each epoch."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y
        self.starts = list(range(0, len(y), 11))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Batch:
        piece = slice(self.starts[index], self.starts[index] + 11)
        return self.x[piece], self.y[piece]

    def on_epoch_end(self) -> None:
        self.starts = [*self.starts[1:], self.starts[0]]


def datasets(images: Images) -> dict[str, Any]:
    return {
        "x": Dataset(images.x, images.y),
        "validation_data": Dataset(images.x_val, images.y_val),
        "epochs": 3,
    }


def dataset_with_steps(images: Images) -> dict[str, Any]:
    return {"x": Dataset(images.x, images.y), "steps_per_epoch": 3, "epochs": 3, "class_weight": {1: 3.0}}


def endless(images: Images) -> Iterator[Batch]:
    weights = ramp(len(images.y))
    while True:
        for start in range(0, len(images.y), 11):
            piece = slice(start, start + 11)
            yield images.x[piece], images.y[piece], weights[piece]


def generator(images: Images) -> dict[str, Any]:
    return {"x": endless(images), "steps_per_epoch": 3, "validation_data": (images.x_val, images.y_val)}


class Tensor:
    """A tensor of some other library: it only knows how to become an array of NumPy."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def numpy(self) -> Any:
        return self.array


class Loader:
    """A loader that moves the images by one pixel more in each epoch, so that keeping what it gave would be wrong."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.epoch = -1  # the first batch is looked at before training

    def __len__(self) -> int:
        return math.ceil(len(self.images.y) / 11)

    def __iter__(self) -> Iterator[list[Tensor]]:
        x = np.roll(self.images.x, max(self.epoch, 0), axis=1)
        self.epoch += 1
        for start in range(0, len(x), 11):
            yield [Tensor(x[start : start + 11]), Tensor(self.images.y[start : start + 11])]


class Rolling(Dataset):
    """The batches of a `Loader`, for Keras."""

    epoch = -1

    def on_epoch_begin(self) -> None:
        self.epoch += 1

    def on_epoch_end(self) -> None:
        pass

    def __getitem__(self, index: int) -> Batch:
        x, y = super().__getitem__(index)
        return np.roll(x, max(self.epoch - 1, 0), axis=1), y


def loader(images: Images) -> dict[str, Any]:
    return {"x": Loader(images), "epochs": 3, "validation_data": (images.x_val, images.y_val)}


def loader_for_keras(images: Images) -> dict[str, Any]:
    return loader(images) | {"x": Rolling(images.x, images.y), "validation_batch_size": 32}


def stopping_on_an_own_number(images: Images) -> dict[str, Any]:
    """Four epochs are asked for; the callback ends after two."""
    stop = callbacks.EarlyStopping("val_twice", mode="max", min_delta=1e6)
    return {**validated(images), "epochs": 4, "callbacks": [stop]}


def early_stopping(images: Images) -> dict[str, Any]:
    stop = callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    return validated(images) | {"epochs": 8, "callbacks": [stop]}


def plateau(images: Images) -> dict[str, Any]:
    reduce = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10)
    return validated(images) | {"epochs": 4, "callbacks": [reduce]}


def scheduler(images: Images) -> dict[str, Any]:
    schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 1 else rate * 0.1)
    return validated(images) | {"epochs": 3, "callbacks": [schedule]}


class LowerRate(callbacks.Callback):
    """Lowers the learning rate while the loss is high."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        self.model.optimizer.learning_rate = 0.001 * float(logs["loss"]) * (batch + 1)


def batch_callback(images: Images) -> dict[str, Any]:
    return validated(images) | {"callbacks": [LowerRate()], "batch_size": 8}


class StopAtOnce(callbacks.Callback):
    """Wants to stop before it has begun; Keras trains a batch."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.model.stop_training = True


def stop_at_once(images: Images) -> dict[str, Any]:
    return validated(images) | {"epochs": 3, "callbacks": [StopAtOnce()]}


class StopAtSecondBatch(callbacks.Callback):
    """Stops in the middle of an epoch."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.stop_training = batch == 1


def stop_within(images: Images) -> dict[str, Any]:
    return validated(images) | {"epochs": 3, "callbacks": [StopAtSecondBatch()]}


class WatchTests(callbacks.Callback):
    """Puts the loss of the first batch of validation into the history."""

    first = 0.0

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        self.first = float(logs["loss"]) if batch == 0 else self.first

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        logs["first_batch"] = self.first


def test_batches(images: Images) -> dict[str, Any]:
    return with_validation(images) | {"callbacks": [WatchTests()]}


test_batches.__test__ = False  # type: ignore[attr-defined]  # it is not a test


def swap_ema(images: Images) -> dict[str, Any]:
    return validated(images) | {"callbacks": [callbacks.SwapEMAWeights()]}


def one_hot(images: Images) -> dict[str, Any]:
    images = even(images)
    y, y_val = (keras.utils.to_categorical(labels, 10) for labels in (images.y, images.y_val))
    return {"x": images.x, "y": y, "validation_data": (images.x_val, y_val)}


def two_classes(images: Images) -> dict[str, Any]:
    images = even(images)
    return {"x": images.x, "y": images.y % 2, "validation_data": (images.x_val, images.y_val % 2)}


def adamw() -> Any:
    rate = optimizers.schedules.PiecewiseConstantDecay([3], [0.01, 0.001])
    optimizer = optimizers.AdamW(rate, weight_decay=0.1, global_clipnorm=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer
