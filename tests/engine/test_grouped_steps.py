"""Callbacks that watch batches are called after a group of steps, and find everything as if each step had waited."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine import keras_callbacks
from fittingroom.engine.programs import Programs
from fittingroom.errors import DataError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

Act = Callable[[Any, int], Any]


class Acts(keras.callbacks.Callback):
    """Does something with the model at some batches, and notes what it finds there, and the loss of each batch."""

    def __init__(self, act: Act, ends: set[int], begins: set[int]) -> None:
        super().__init__()
        self.act, self.ends, self.begins = act, ends, begins
        self.seen: list[Any] = []
        self.batches = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.batches in self.begins:
            self.seen.append(("begins", batch, self.act(self.model, self.batches)))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(("ends", batch, logs["loss"]))
        if self.batches in self.ends:
            self.seen.append(("ends", batch, self.act(self.model, self.batches)))
        self.batches += 1


def rate(model: Any, batch: int) -> Any:
    model.optimizer.learning_rate = 0.01 / (batch + 1)
    return float(model.optimizer.learning_rate)


def read_rate(model: Any, batch: int) -> Any:
    return float(model.optimizer.learning_rate)


def weights(model: Any, batch: int) -> Any:
    return float(np.abs(model.get_weights()[0]).sum())


def set_weights(model: Any, batch: int) -> None:
    model.set_weights([0.5 * values for values in model.get_weights()])


def evaluated(model: Any, batch: int) -> Any:
    return model.evaluate(np.zeros((4, 8, 8)), np.zeros(4), verbose=0)[0]


def copied(model: Any, batch: int) -> Any:
    twins = copy.deepcopy(model.variables[0]), pickle.loads(pickle.dumps(np.asarray(model.variables[1])))
    return [float(np.abs(np.asarray(twin)).sum()) for twin in twins]


def stopped(model: Any, batch: int) -> None:
    model.stop_training = True


def enough(model: Any, batch: int) -> None:
    raise RuntimeError("enough")


def nothing(model: Any, batch: int) -> None:
    """Looks at nothing."""


SOME = {1, 2, 9, 13, 14, 15, 30}
CASES: dict[str, tuple[Act, set[int], set[int]]] = {
    "nobody looks": (nothing, SOME, SOME),
    "weights at the ends": (weights, SOME, set()),
    "weights at the begins": (weights, set(), SOME),
    "weights at each": (weights, set(range(40)), set(range(40))),
    "the rate changes": (rate, SOME, {5}),
    "the rate is read at each": (read_rate, set(range(40)), set(range(40))),
    "the rate changes at each": (rate, set(range(40)), set()),
    "weights change": (set_weights, {3, 20}, {6}),
    "evaluation gives the memory away": (evaluated, {2, 7}, {0, 11}),
    "copies": (copied, {7, 8}, set()),
    "stopped at an end": (stopped, {17}, set()),
    "stopped at a begin": (stopped, set(), {17}),
    "raises at an end": (enough, {17}, set()),
    "raises at a begin": (enough, set(), {17}),
}


class Walks:
    """Gives the images in batches of four, all of them in the same two arrays, and the last one smaller."""

    def __init__(self, images: Images, count: int, spoil: int | None = None) -> None:
        self.images, self.count, self.spoil, self.given = images, count, spoil, 0

    def __iter__(self) -> Iterator[Any]:
        x, y = np.empty((4, 8, 8), np.float64), np.empty(4, np.int64)
        for number, start in enumerate(range(0, self.count, 4)):
            part = slice(start, min(start + 4, self.count))
            size = part.stop - part.start
            x[:size], y[:size] = self.images.x[part], self.images.y[part]
            if number == self.spoil and self.given:
                y[0] = 77
            self.given += 1
            yield x[:size], y[:size]


def test_an_iterable_trains_as_its_images_do_in_an_array_and_says_where_a_batch_is_wrong(digits: Images) -> None:
    def trained(x: Any, *y: Any, act: Act, ends: set[int], **more: Any) -> list[Any]:
        model, callback = models.small(), Acts(act, ends, set())
        options: dict[str, Any] = {"epochs": 2, "shuffle": False, "verbose": 0, "out": False, **more}
        options["callbacks"] = [callback]
        run = fittingroom.fit(model, x, *y, **options)
        return [*model.get_weights(), *(np.array(values) for values in run.history.values()), callback.seen]

    x, y = digits.x[:42], digits.y[:42]
    for act, ends in ((nothing, SOME), (rate, {4, 15}), (stopped, {5})):
        whole = trained(x, y, act=act, ends=ends, batch_size=4)
        walked = trained(Walks(digits, 42), act=act, ends=ends)
        for mine, other in zip(walked[:-1], whole[:-1], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
        assert [seen[:2] for seen in walked[-1]] == [seen[:2] for seen in whole[-1]]
    plain, streamed = models.small(), models.small()
    fittingroom.fit(plain, x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    run = fittingroom.fit(streamed, Walks(digits, 42), epochs=2, verbose=0, validation_data=Walks(digits, 42))
    assert run.record.data.counts["train"] == 42
    for mine, other in zip(streamed.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    seen: list[int] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    with pytest.raises(DataError, match=r"Batch 6 of epoch 1 in x has a label of class 77"):
        fittingroom.fit(models.small(), Walks(digits, 42, spoil=5), callbacks=[watch], verbose=0)
    assert seen == [0, 1, 2, 3, 4], "the batches before the wrong one are trained on"


def test_callbacks_find_and_leave_what_they_would_between_single_steps(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    group = Programs.group

    def counted(self: Programs, *arguments: Any) -> Any:
        calls.append(1)
        return group(self, *arguments)

    monkeypatch.setattr(Programs, "group", counted)
    model = models.small()
    start = model.get_weights()

    def trained(case: str) -> list[Any]:
        act, ends, begins = CASES[case]
        model.compile("adam", models.SPARSE, metrics=["accuracy"])
        model.set_weights(start)
        callback = Acts(act, ends, begins)
        options: dict[str, Any] = {"batch_size": 4, "epochs": 4, "callbacks": [callback], "verbose": 0, "out": False}
        history: dict[str, Any] = {}
        with contextlib.suppress(RuntimeError):
            history = fittingroom.fit(model, digits.x, digits.y, **options).history
        steps = int(model.optimizer.iterations)
        return [callback.seen, steps, *model.get_weights(), *(np.array(values) for values in history.values())]

    for case in CASES:
        calls.clear()
        grouped = trained(case)
        few = len(calls)
        with monkeypatch.context() as single:
            single.setattr(keras_callbacks, "MOST_BYTES_OF_STATE", 0)
            calls.clear()
            one_by_one = trained(case)
            assert not calls
        assert [seen[:2] for seen in grouped[0]] == [seen[:2] for seen in one_by_one[0]], case
        for mine, other in zip(grouped[0], one_by_one[0], strict=True):
            np.testing.assert_allclose(mine[2] or 0, other[2] or 0, rtol=1e-5, err_msg=case)
        for mine, other in zip(grouped[1:], one_by_one[1:], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6, err_msg=case)
        if case in ("nobody looks", "the rate is read at each"):
            assert 0 < few < 20, "eleven steps in each of four epochs take a few calls"
    assert {type(variable) for variable in model.variables} == {keras.Variable}
