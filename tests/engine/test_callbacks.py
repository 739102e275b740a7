"""Keras callbacks, unchanged: they are told what Keras would tell them, and what they do counts."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.api.run import Run
from fittingroom.engine import keras_callbacks
from fittingroom.engine.programs import Programs
from fittingroom.errors import InputError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

Logs = dict[str, float]


def fit(model: keras.Model, images: Images, *callbacks: keras.callbacks.Callback, **arguments: Any) -> Run:
    arguments = {"epochs": 3, "batch_size": 22, "shuffle": False, "verbose": 0, **arguments}
    run: Run = fittingroom.fit(model, images.x, images.y, callbacks=list(callbacks), **arguments)
    return run


def keras_fit(model: keras.Model, images: Images, *callbacks: keras.callbacks.Callback, **arguments: Any) -> Any:
    arguments = {"epochs": 3, "batch_size": 22, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(images.x, images.y, callbacks=list(callbacks), **arguments).history


def assert_same_weights(ours: keras.Model, theirs: keras.Model) -> None:
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


class StopAtAccuracy(keras.callbacks.Callback):
    """The course's callback, as its first lab has it."""

    def on_epoch_end(self, epoch, logs={}):  # type: ignore[no-untyped-def]  # noqa: B006
        if logs.get("accuracy") >= 0.6:
            print("\nReached 60% accuracy so cancelling training!")  # noqa: T201
            self.model.stop_training = True


class StopAtLoss(keras.callbacks.Callback):
    """The course's callback, as its second lab has it."""

    def on_epoch_end(self, epoch, logs=None):  # type: ignore[no-untyped-def]
        if logs["loss"] < 0.4:
            print("\nLoss is low so cancelling training!")  # noqa: T201
            self.model.stop_training = True


@pytest.mark.parametrize(
    ("callback", "name", "reached"),
    [
        (StopAtAccuracy, "accuracy", lambda value: value >= 0.6),
        (StopAtLoss, "loss", lambda value: value < 0.4),
    ],
)
def test_the_courses_callback_stops_after_the_first_epoch_that_reaches_its_value(
    callback: type[keras.callbacks.Callback],
    name: str,
    reached: Callable[[float], bool],
    digits: Images,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = fit(models.small(optimizer=keras.optimizers.Adam(0.03)), digits, callback(), epochs=60)
    *before, last = run.history[name]
    assert reached(last)
    assert not any(reached(value) for value in before)
    assert 1 < run.record.epochs < 60
    assert run.record.status == "stopped"
    assert run.record.reason == f"a callback set stop_training ({callback.__name__})"
    assert "so cancelling training!" in capsys.readouterr().out


def wild() -> keras.Model:
    """A model that learns so fast that its validation loss soon rises."""
    return models.small(optimizer=keras.optimizers.SGD(1.5))


@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_ends_where_it_does_in_keras_and_restores_when_asked(restore: bool, digits: Images) -> None:
    def callback() -> keras.callbacks.Callback:
        return keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=restore)

    arguments = {"epochs": 12, "validation_data": (digits.x_val, digits.y_val)}
    theirs, ours = wild(), wild()
    expected = keras_fit(theirs, digits, callback(), **arguments)
    run = fit(ours, digits, callback(), **arguments)
    assert run.record.epochs == len(expected["loss"]) < 12
    assert_same_weights(ours, theirs)
    np.testing.assert_allclose(run.predict(digits.x_val), ours.predict(digits.x_val, verbose=0), atol=1e-6)
    # The result in the record is that of the weights that are kept, restored or not.
    assert run.record.validation is not None
    losses = run.history["val_loss"]
    assert losses[-1] > min(losses)
    assert run.record.validation.loss == pytest.approx(min(losses) if restore else losses[-1])
    assert run.record.validation.accuracy == pytest.approx(
        np.mean(run.predict(digits.x_val).argmax(axis=1) == digits.y_val)
    )


@pytest.mark.parametrize(
    "callback",
    [
        lambda: keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.1),
        lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        keras.callbacks.SwapEMAWeights,
    ],
    ids=["ReduceLROnPlateau", "LearningRateScheduler", "SwapEMAWeights"],
)
def test_a_callback_that_changes_training_changes_it_as_in_keras(
    callback: Callable[[], keras.callbacks.Callback], digits: Images
) -> None:
    def make() -> keras.Model:
        return models.small(optimizer=keras.optimizers.SGD(1.5, use_ema=True, ema_momentum=0.5))

    arguments = {"epochs": 8, "validation_data": (digits.x_val, digits.y_val)}
    theirs, ours = make(), make()
    expected = keras_fit(theirs, digits, callback(), **arguments)
    run = fit(ours, digits, callback(), **arguments)
    assert set(run.history) == set(expected)  # the learning rate, which callbacks add, too
    for name, values in expected.items():
        np.testing.assert_allclose(run.history[name], values, atol=1e-4, err_msg=name)
    assert_same_weights(ours, theirs)
    rates = run.history.get("learning_rate", [1.0, 0.1])
    assert rates[-1] < rates[0]


def test_model_checkpoint_saves_the_model_as_it_is_after_each_epoch(digits: Images, tmp_path: Path) -> None:
    pattern = str(tmp_path / "epoch-{epoch}.keras")
    seen: list[list[Any]] = []
    model = models.small()
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    fit(model, digits, keras.callbacks.ModelCheckpoint(pattern), note, epochs=2)
    for epoch in (1, 2):
        loaded = keras.saving.load_model(pattern.format(epoch=epoch))
        for saved, weights in zip(loaded.get_weights(), seen[epoch - 1], strict=True):
            np.testing.assert_array_equal(saved, weights)
    assert any((a != b).any() for a, b in zip(seen[0], seen[1], strict=True))


def test_csv_logger_writes_the_history(digits: Images, tmp_path: Path) -> None:
    run = fit(models.small(), digits, keras.callbacks.CSVLogger(str(tmp_path / "log.csv")))
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert [float(row["loss"]) for row in rows] == run.history["loss"]


class Inspector(keras.callbacks.Callback):
    """Notes every event with its numbers, and the sum of the first weights at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, Any, Logs, float]] = []

    def note(self, event: str, index: Any, logs: Logs | None) -> None:
        self.events.append((event, index, dict(logs or {}), float(np.abs(self.model.get_weights()[0]).sum())))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.note("train begins", self.params["steps"], logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.note("epoch begins", epoch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self.note("test begins", None, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self.note("test ends", None, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.note("epoch ends", epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.note("train ends", None, logs)


class BatchInspector(Inspector):
    """Notes the batches too."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.note("batch begins", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.note("batch ends", batch, logs)


@pytest.mark.parametrize("kind", [Inspector, BatchInspector])
def test_every_event_comes_when_it_comes_in_keras_with_the_same_numbers_and_the_current_weights(
    kind: type[Inspector], digits: Images
) -> None:
    theirs, ours = kind(), kind()
    arguments = {"epochs": 2, "batch_size": 16, "validation_data": (digits.x_val, digits.y_val)}
    keras_fit(models.small(), digits, theirs, **arguments)
    fit(models.small(), digits, ours, **arguments)
    assert [event[:2] for event in ours.events] == [event[:2] for event in theirs.events]
    for mine, other in zip(ours.events, theirs.events, strict=True):
        assert mine[2] == pytest.approx(other[2], abs=1e-5), mine[:2]
        assert mine[3] == pytest.approx(other[3], abs=1e-4), mine[:2]


def test_watching_batches_is_said_to_cost_time_where_it_does_and_watching_epochs_is_not(
    digits: Images, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        fit(models.small(), digits, Inspector(), epochs=1)
        fit(models.small(), digits, BatchInspector(), epochs=1)
        assert caplog.messages == []
        monkeypatch.setattr(keras_callbacks, "MOST_BYTES_OF_STATE", 0)
        run = fit(models.small(), digits, BatchInspector(), epochs=1)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("BatchInspector watches every batch")
    assert caplog.messages[0] in run.record.notes


def test_keras_callbacks_that_could_watch_batches_but_do_not_cost_nothing(
    digits: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keras_own = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "model.keras")),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        keras.callbacks.EarlyStopping("loss"),
        keras.callbacks.History(),
    ]
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        fit(models.small(), digits, *keras_own, epochs=1)
    assert caplog.messages == []


def test_a_lambda_that_watches_batches_is_called_for_each(digits: Images) -> None:
    batches: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    fit(models.small(), digits, callback, epochs=2, batch_size=16)
    assert batches == [0, 1, 2, 0, 1, 2]


def test_watching_the_batches_of_validation_is_said_to_cost_time_where_there_is_validation(
    digits: Images, caplog: pytest.LogCaptureFixture
) -> None:
    class Watches(keras.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            batches.append(batch)

    batches: list[int] = []
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        fit(models.small(), digits, Watches(), epochs=1)
        assert caplog.messages == []
        run = fit(models.small(), digits, Watches(), epochs=1, validation_split=0.5, batch_size=16)
    assert caplog.messages[0].startswith("Watches watches the batches of validation")
    assert batches == [0, 1]
    assert run.outcomes is not None
    assert run.outcomes.loss.shape == (1, 22)


def test_batch_hooks_can_come_less_often_with_the_means_of_all_batches_so_far(digits: Images) -> None:
    each, some = BatchInspector(), BatchInspector()
    fit(models.small(), digits, each, epochs=1, batch_size=4)
    fit(models.small(), digits, some, epochs=1, batch_size=4, batch_hooks_every=4)
    names = [event[:2] for event in some.events if event[0].startswith("batch")]
    assert names == [
        (name, index)
        for first, last in ((0, 3), (4, 7), (8, 11))  # the last group has three batches; Keras counts the fourth, too
        for name, index in (("batch begins", first), ("batch ends", last))
    ]
    means = {event[1]: event[2] for event in each.events if event[0] == "batch ends"}
    for name, index, logs, _ in some.events:
        if name == "batch ends":
            assert logs == means[min(index, 10)]


def test_a_backup_continues_where_training_was_cut_off_as_in_keras(digits: Images, tmp_path: Path) -> None:
    class CutOff(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    def backup() -> keras.callbacks.Callback:
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    whole = fit(models.small(), digits, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(models.small(), digits, backup(), CutOff(), epochs=4)
    rest = fit(models.small(), digits, backup(), epochs=4)
    assert rest.history.epoch == [2, 3]
    assert rest.history["loss"] == pytest.approx(whole.history["loss"][2:], abs=1e-6)


def test_a_backup_of_a_training_that_is_over_is_refused(digits: Images) -> None:
    class AllDone(keras.callbacks.Callback):
        def on_train_begin(self, logs: Logs | None = None) -> None:
            self.model._initial_epoch = 3

    with pytest.raises(InputError, match=r"starts after the last of 3 epochs.* Give more epochs"):
        fit(models.small(), digits, AllDone(), epochs=3)


def test_restored_weights_are_what_the_record_scores_and_outcomes_stay_those_of_their_epochs(digits: Images) -> None:
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model = models.small(optimizer=keras.optimizers.SGD(3.0))
    run = fit(model, digits, stop, epochs=8, validation_data=(digits.x_val, digits.y_val))
    losses = run.history["val_loss"]
    assert losses[-1] > min(losses)
    assert run.record.validation is not None
    assert run.record.validation.loss == pytest.approx(min(losses), abs=1e-5)
    assert run.outcomes is not None
    np.testing.assert_allclose(run.outcomes.loss.mean(axis=1), losses, atol=1e-4)


def test_validation_is_not_repeated_for_weights_that_nothing_has_changed_since(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    evaluate = Programs.evaluate

    def counting(*arguments: Any) -> Any:
        counted.append(1)
        return evaluate(*arguments)

    monkeypatch.setattr(Programs, "evaluate", counting)
    validation = (digits.x_val, digits.y_val)
    fit(models.small(), digits, Inspector(), epochs=2, validation_data=validation)
    assert len(counted) == 2
    fit(models.small(optimizer=keras.optimizers.Adam(use_ema=True)), digits, epochs=2, validation_data=validation)
    assert len(counted) == 5


def test_stopping_within_an_epoch_ends_it_there_as_in_keras(digits: Images) -> None:
    class StopAfterFirstBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            self.model.stop_training = True

    theirs, ours = models.small(), models.small()
    expected = keras_fit(theirs, digits, StopAfterFirstBatch())
    run = fit(ours, digits, StopAfterFirstBatch())
    assert run.history["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert_same_weights(ours, theirs)


def test_weights_that_a_callback_sets_are_trained_on(digits: Images) -> None:
    class SetToZero(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            self.model.set_weights([np.zeros_like(weights) for weights in self.model.get_weights()])

    model = models.small()
    run = fit(model, digits, SetToZero(), epochs=2)
    # A model of zeros gives each of ten classes the same probability.
    np.testing.assert_allclose(run.predict(digits.x[:3]), 0.1, atol=1e-6)
    assert all((weights == 0).all() for weights in model.get_weights())


def test_a_callback_may_evaluate_predict_and_train_with_its_model(digits: Images) -> None:
    """Keras gives the memory of a model's variables away when it does; the trainer must not have kept the same."""

    class Busy(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
            self.model.evaluate(digits.x_val, digits.y_val, verbose=0)
            if epoch == 1:
                raise KeyboardInterrupt

        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            self.model.predict(digits.x_val, verbose=0)
            self.weights = self.model.get_weights()

    model, busy = models.small(), Busy()
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, busy)
    for weights, after_first_epoch in zip(model.get_weights(), busy.weights, strict=True):
        np.testing.assert_array_equal(weights, after_first_epoch)


def test_one_callback_needs_no_list(digits: Images) -> None:
    seen: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    fittingroom.fit(models.small(), digits.x, digits.y, callbacks=callback, epochs=2, verbose=0)
    assert seen == [0, 1]
