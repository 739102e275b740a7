"""`fit(..., resume=RUN)`: the user's own model and callbacks go on as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset
from fittingroom.errors import Interrupted
from fittingroom.runs.place import RunsFolder
from tests.api.stopping import assert_same_training

EPOCHS = 8
LAST = 5  # epochs that the callbacks let it train


class CtrlC(keras.callbacks.Callback):
    """Sends this process a signal after some epoch, counted from 1, unless a callback has done so before."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        flag = RunsFolder().path / f"signal-{self.epoch}"
        if epoch + 1 != self.epoch:
            return
        with suppress(FileExistsError):  # seeds train at once, and only one of them makes the folder
            flag.mkdir()
            os.kill(os.getpid(), signal.SIGINT)


class Averages(keras.callbacks.Callback):
    """A user's callback that remembers plain data, and an object of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, tuple[float, ...]] = {}
        self.total = np.zeros(2)
        self.window: deque[float] = deque(maxlen=2)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        assert logs is not None
        self.seen[epoch] = (logs["loss"],)
        self.total += logs["val_loss"], 1
        self.window.append(logs["loss"])


def network() -> keras.Model:
    keras.backend.clear_session()  # else Keras numbers the names on
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def callbacks(epoch: int = 0) -> list[keras.callbacks.Callback]:
    """Callbacks that end this training after about six epochs, with the weights of an earlier one."""
    return [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1, min_delta=0.2),
        keras.callbacks.EarlyStopping("val_loss", min_delta=0.2, patience=2, restore_best_weights=True),
        CtrlC(epoch),
    ]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """1,280 images to train on: whole batches, since the step for a smaller last one is compiled besides."""
    return fr.load("digits", validation=157)


@pytest.fixture(scope="module")
def whole(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a training that was never stopped."""
    return fr.fit(network(), data, epochs=EPOCHS, callbacks=callbacks(), out=tmp_path_factory.mktemp("whole") / "run")


def test_the_callbacks_do_end_this_training_early_and_change_the_learning_rate(whole: Run) -> None:
    assert whole.record.status == "stopped"
    assert whole.record.epochs == LAST < EPOCHS
    assert whole.history["learning_rate"][0] > whole.history["learning_rate"][-1]


@pytest.mark.parametrize(
    "epoch", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow), 4]
)
def test_callbacks_continue_where_they_were_after_any_epoch(data: Dataset, whole: Run, epoch: int) -> None:
    with pytest.raises(Interrupted):
        fr.fit(network(), data, epochs=EPOCHS, callbacks=callbacks(epoch))
    model = network()
    run = fr.fit(model, data, epochs=EPOCHS, callbacks=callbacks(epoch), resume="latest")
    assert_same_training(run, whole)
    assert model.history.epoch == whole.history.epoch
    assert model.history.history == whole.history.history


class Fails(keras.callbacks.Callback):
    """Raises an error in the third epoch, the first time that a process gets there."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        flag = RunsFolder().path / "failed"
        if epoch == 2 and not flag.exists():
            flag.mkdir()
            raise ZeroDivisionError


def test_an_error_of_a_callback_loses_no_finished_epoch_whatever_was_saved_before(data: Dataset) -> None:
    def trained(**options: Any) -> Run:
        run: Run = fr.fit(network(), data, epochs=3, callbacks=[Fails()], checkpoint_every=10, **options)
        return run

    with pytest.raises(ZeroDivisionError):
        trained()
    run = trained(resume="latest")
    assert "Training was stopped, and resumed after epoch 2." in run.record.notes
    assert_same_training(run, fr.fit(network(), data, epochs=3, callbacks=[Fails()]))


def test_each_seed_continues_with_its_own_callbacks(data: Dataset, tmp_path: Path) -> None:
    def trained(epoch: int, **options: Any) -> Sequence[Run]:
        return fr.fit(network(), data, epochs=EPOCHS, callbacks=callbacks(epoch), seeds=[2, 7], **options)

    whole = trained(0, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained(2)
    for run, expected in zip(trained(2, resume="latest"), whole, strict=True):
        assert_same_training(run, expected)


def test_a_users_callback_gets_back_what_it_remembered_and_what_it_lost_is_named(data: Dataset) -> None:
    whole, again = Averages(), Averages()
    fr.fit(network(), data, epochs=4, callbacks=[whole, CtrlC(0)])
    with pytest.raises(Interrupted):
        fr.fit(network(), data, epochs=4, callbacks=[Averages(), CtrlC(2)])
    run = fr.fit(network(), data, epochs=4, callbacks=[again, CtrlC(2)], resume="latest")
    assert again.seen == whole.seen
    np.testing.assert_array_equal(again.total, whole.total)
    assert any("Averages starts with a new window: a checkpoint keeps" in note for note in run.record.notes)


def test_a_table_of_the_epochs_continues_where_it_ended(data: Dataset, tmp_path: Path) -> None:
    table = tmp_path / "epochs.csv"
    logger = keras.callbacks.CSVLogger(str(table))
    with pytest.raises(Interrupted):
        fr.fit(network(), data, epochs=4, callbacks=[logger, CtrlC(2)])
    logger.csv_file.close()
    fr.fit(network(), data, epochs=4, callbacks=[keras.callbacks.CSVLogger(str(table)), CtrlC(2)], resume="latest")
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == ["epoch", "0", "1", "2", "3"]


def test_arrays_continue_too(data: Dataset, tmp_path: Path) -> None:
    def trained(epoch: int, **options: Any) -> Run:
        run: Run = fr.fit(
            network(), data.train.x, data.train.y, epochs=4, validation_split=0.1, callbacks=[CtrlC(epoch)], **options
        )
        return run

    whole = trained(0, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained(2)
    assert_same_training(trained(2, resume="latest"), whole)


def test_batches_continue_with_the_weights_and_a_word_of_warning(data: Dataset) -> None:
    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> Any:
            part = slice(32 * index, 32 * index + 32)
            return data.train.x[part], data.train.y[part]

    with pytest.raises(Interrupted):
        fr.fit(network(), Batches(), epochs=4, callbacks=[CtrlC(2)])
    run = fr.fit(network(), Batches(), epochs=4, callbacks=[CtrlC(2)], resume="latest")
    assert run.record.epochs == 4
    assert "The iterable was started again" in " ".join(run.record.notes)
