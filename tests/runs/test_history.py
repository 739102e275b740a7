from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import RunError
from fittingroom.runs.history import History

LOGS = st.dictionaries(
    st.sampled_from(["loss", "val_loss", "lr, or so", 'a"b']), st.floats(allow_nan=False), min_size=1
)


def test_keys_and_values_are_those_of_keras() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.ones((4, 2), np.float32), np.zeros(4, np.int32)
    expected = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
    logs = [{name: values[epoch] for name, values in expected.history.items()} for epoch in expected.epoch]
    found = History(zip(expected.epoch, logs, strict=True))
    assert found.history == expected.history
    assert found.epoch == expected.epoch
    assert list(found) == list(expected.history)


def test_it_is_a_mapping() -> None:
    history = History([(0, {"loss": 0.5}), (1, {"loss": 0.4})])
    assert history["loss"] == [0.5, 0.4]
    assert "val_loss" not in history
    assert len(history) == 1
    with pytest.raises(KeyError, match="val_loss"):
        history["val_loss"]


def test_number_that_some_epochs_lack_has_fewer_values() -> None:
    history = History([(0, {"loss": 0.5}), (1, {"loss": 0.4, "val_loss": 0.6})])
    assert history["val_loss"] == [0.6]
    assert history.rows == [{"loss": 0.5}, {"loss": 0.4, "val_loss": 0.6}]


def test_changing_its_rows_does_not_change_it() -> None:
    history = History([(0, {"loss": 0.5})])
    history.rows[0]["loss"] = 2.0
    assert history == {"loss": [0.5]}


@given(rows=st.lists(LOGS, max_size=5))
def test_csv_gives_the_same_history_back(rows: list[dict[str, float]]) -> None:
    history = History(enumerate(rows))
    assert History.from_csv(history.to_csv()) == history


def test_csv_counts_epochs_from_one_and_keeps_every_digit() -> None:
    text = History([(0, {"loss": 0.1 + 0.2}), (1, {"loss": float("inf"), "val_loss": 1.0})]).to_csv()
    assert text == "epoch,loss,val_loss\n1,0.30000000000000004,\n2,inf,1.0\n"


def test_nan_survives_the_csv() -> None:
    assert str(History.from_csv("epoch,loss\n1,nan\n")["loss"]) == "[nan]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line does not begin with 'epoch'"),
        ("epoch,loss\n1,0.5\n2,0.", "its last line is cut off"),
        ("loss\n0.5\n", "first line does not begin with 'epoch'"),
        ("epoch,loss\n1,0.5\n2,abc\n", "line 3 is not an epoch and 1 numbers"),
        ("epoch,loss\n1\n", "line 2"),
        ("epoch,loss\n1,2,3\n", "line 2"),
        ("epoch,loss\n\n", "line 2"),
    ],
)
def test_damaged_csv_names_the_line(text: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        History.from_csv(text)


def test_repr_shows_the_last_numbers() -> None:
    assert repr(History([(0, {"loss": 0.5}), (1, {"loss": 0.25})])) == "History(2 epochs; last: loss 0.2500)"
    assert repr(History()) == "History(0 epochs)"
