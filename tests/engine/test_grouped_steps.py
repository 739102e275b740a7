"""Callbacks that watch batches are called after a group of steps, and find everything as if each step had waited."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine import keras_callbacks
from fittingroom.engine.programs import Programs
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
    "the rate changes at each": (rate, set(range(40)), set()),
    "weights change": (set_weights, {3, 20}, {6}),
    "evaluation gives the memory away": (evaluated, {2, 7}, {0, 11}),
    "copies": (copied, {7, 8}, set()),
    "stopped at an end": (stopped, {17}, set()),
    "stopped at a begin": (stopped, set(), {17}),
    "raises at an end": (enough, {17}, set()),
    "raises at a begin": (enough, set(), {17}),
}


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
        if case == "nobody looks":
            assert 0 < few < 20, "eleven steps in each of four epochs take a few calls"
    assert {type(variable) for variable in model.variables} == {keras.Variable}
