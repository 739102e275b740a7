"""Iterables of batches: walked as Keras walks them, checked batch by batch, recorded like arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine.batches import Batches
from fittingroom.errors import DataError, DivergedError
from tests.engine import models
from tests.engine.arrangements import Dataset, Loader, Tensor
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Numbered:
    """Batches of one image whose only pixel says which it is; starts anew whenever it is iterated."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        return ((np.full((1, 1), number, np.float32), np.array([0])) for number in range(self.count))


class Sized(Numbered):
    """It knows how many it has."""

    def __len__(self) -> int:
        return self.count


def epochs(batches: Batches, count: int) -> list[list[int]]:
    """The numbers that come in each epoch."""
    found: list[list[int]] = []
    for epoch in range(count):
        batches.begin(epoch)
        found.append([])
        while len(found[-1]) != batches.steps and (batch := batches.next()) is not None:
            found[-1].append(int(batch.images[0, 0]))
        batches.end()
    return found


@pytest.mark.parametrize("kind", [Numbered, Sized])
def test_without_steps_an_epoch_is_a_pass(kind: type[Numbered]) -> None:
    assert epochs(Batches(kind(3)), 2) == [[0, 1, 2]] * 2


@pytest.mark.parametrize("kind", [Numbered, Sized])
def test_with_fewer_steps_the_next_epoch_continues(kind: type[Numbered]) -> None:
    assert epochs(Batches(kind(3), steps=2), 4) == [[0, 1], [2], [0, 1], [2]]


@pytest.mark.parametrize("kind", [Numbered, Sized])
def test_an_epoch_that_ends_with_the_pass_is_followed_by_a_whole_one(kind: type[Numbered]) -> None:
    assert epochs(Batches(kind(4), steps=2), 3) == [[0, 1], [2, 3], [0, 1]]


def test_a_generator_continues_and_says_when_it_is_exhausted() -> None:
    batches = Batches(iter(Numbered(5)), steps=2)
    assert batches.single
    assert epochs(batches, 2) == [[0, 1], [2, 3]]
    assert not batches.exhausted
    assert epochs(batches, 1) == [[4]]
    assert batches.exhausted


def test_walking_starts_from_the_first_batch_each_time() -> None:
    batches = Batches(Numbered(4), steps=2)
    assert [[int(batch.images[0, 0]) for batch in batches.walk()] for _ in range(2)] == [[0, 1]] * 2


def test_the_seed_decides_the_order_of_a_pydataset(digits: Images) -> None:
    def order(seed: int) -> list[list[float]]:
        batches = Batches(InOrder(digits.x, digits.y), seed=seed)
        found = []
        for epoch in range(2):
            batches.begin(epoch)
            found.append([float(batch.images.sum()) for _ in range(4) if (batch := batches.next()) is not None])
            batches.end()
        return found

    first = order(0)
    assert first == order(0) != order(1)
    assert first[0] != first[1]
    assert sorted(first[0]) == sorted(first[1])


class InOrder(Dataset):
    def on_epoch_end(self) -> None:
        pass


@pytest.mark.parametrize("given", [np.zeros(3), [1], (1, 2), {"x": 1}, "images", 3, None])
def test_arrays_and_collections_are_no_batches(given: Any) -> None:
    assert not Batches.are_in(given)


class Poisoned(Numbered):
    """Images of the digits' shape, of which those of one batch are spoiled."""

    def __init__(self, images: Images, spoil: Any, at: int) -> None:
        super().__init__(3)
        self.images, self.spoil, self.at = images, spoil, at

    def __iter__(self) -> Iterator[Any]:
        for number in range(3):
            x, y = self.images.x[number * 8 : number * 8 + 8], self.images.y[number * 8 : number * 8 + 8]
            yield self.spoil(x, y) if number == self.at else (Tensor(x), Tensor(y))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x, y: (x, y[:5]), "Batch 2 of epoch 1 in x: x has 8 images, but y has 5 labels"),
        (lambda x, y: (x[:, :4], y), r"Batch 2 of epoch 1 in x has images of shape \(4, 8\), but the first"),
        (lambda x, y: (x, y + 10), "Batch 2 of epoch 1 in x has a label of class 1., but the model has 10 outputs"),
        (lambda x, y: (x * np.nan, y), "Batch 2 of epoch 1 in x: 8 of 8 images hold NaN"),
    ],
)
def test_a_batch_that_cannot_be_trained_on_is_named(spoil: Any, words: str, digits: Images) -> None:
    with pytest.raises(DataError, match=words):
        fittingroom.fit(models.small(), Poisoned(digits, spoil, 1), verbose=0)


def test_a_loss_that_becomes_nan_names_the_batch(digits: Images) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = models.small(activation=None, loss=loss)
    with pytest.raises(DivergedError, match="in epoch 1, at step 3"):
        fittingroom.fit(model, Poisoned(digits, lambda x, y: (x * 0 + 3e38, y), 2), verbose=0)


def test_a_generator_that_ends_early_ends_training_after_its_epoch(digits: Images) -> None:
    batches = ((digits.x[:8], digits.y[:8]) for _ in range(5))
    run = fittingroom.fit(models.small(), batches, steps_per_epoch=2, epochs=9, verbose=0)
    assert run.history.epoch == [0, 1, 2]
    assert (run.record.status, run.record.reason) == ("stopped", "the data ended in epoch 3")


def test_a_generator_that_ends_with_an_epoch_ends_training_before_the_next(digits: Images) -> None:
    batches = ((digits.x[:8], digits.y[:8]) for _ in range(4))
    run = fittingroom.fit(models.small(), batches, steps_per_epoch=2, epochs=9, verbose=0)
    assert run.history.epoch == [0, 1]
    assert (run.record.status, run.record.reason) == ("stopped", "the data ended before epoch 3")


def test_a_run_on_iterables_is_recorded_like_one_on_arrays(digits: Images, tmp_path: Path) -> None:
    model = models.small()
    held_out = Dataset(digits.x_val, digits.y_val)
    run = fittingroom.fit(model, Loader(digits), validation_data=held_out, epochs=2, out=tmp_path / "run", verbose=0)
    again = fittingroom.open_run(run.path)
    record = again.record
    assert (record.data.name, record.data.counts) == ("batches", {"train": 44, "validation": 30, "test": 0})
    assert record.train.count == 44
    assert record.validation is not None
    assert record.validation.accuracy == pytest.approx(run.history["val_accuracy"][-1], abs=1e-6)
    assert record.validation.interval is not None
    assert again.outcomes is None  # nothing says that the images come in the same order twice
    np.testing.assert_allclose(again.predict(digits.x_val), model.predict(digits.x_val, verbose=0), atol=1e-6)


def test_arrays_may_validate_a_training_on_batches_and_leave_outcomes(digits: Images) -> None:
    run = fittingroom.fit(
        models.small(), Loader(digits), validation_data=(digits.x_val, digits.y_val), epochs=2, verbose=0
    )
    assert run.outcomes is not None
    np.testing.assert_allclose(run.outcomes.loss.mean(axis=1), run.history["val_loss"], atol=1e-5)


def test_a_dataset_may_be_validated_on_an_iterable_of_scaled_images(digits: Images) -> None:
    data = fittingroom.load("digits")
    assert data.validation is not None
    whole = (data.validation.x, np.array(data.validation.y))
    arrays = fittingroom.fit(models.small(), data, validation_data=whole, verbose=0)
    batches = fittingroom.fit(models.small(), data, validation_data=InOrder(*whole), verbose=0)
    assert batches.history["val_loss"] == pytest.approx(arrays.history["val_loss"], abs=1e-5)
