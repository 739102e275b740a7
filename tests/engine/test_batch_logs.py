"""The numbers of a batch are a dict of floats to whoever reads them, and are fetched only then."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine import keras_callbacks
from fittingroom.engine.batch_steps import BatchLogs
from fittingroom.errors import DivergedError
from tests.engine import models
from tests.engine.images import Images


def some() -> BatchLogs:
    return BatchLogs({"loss": jnp.float32(2), "accuracy": jnp.float32(0.5)})


def updated(logs: BatchLogs) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    taken.update(logs)
    return taken


class Gives:
    """An iterable of batches."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


WAYS: dict[str, Callable[[BatchLogs], dict[str, Any]]] = {
    "dict": dict,
    "unpacked": lambda logs: {**logs},
    "arguments": lambda logs: dict(**logs),
    "update": updated,
    "or": lambda logs: logs | {},
    "or after": lambda logs: {} | logs,
    "copy": lambda logs: logs.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda logs: pickle.loads(pickle.dumps(logs)),
    "json": lambda logs: json.loads(json.dumps(logs)),
    "repr": lambda logs: eval(repr(logs)),
    "items": lambda logs: dict(logs.items()),
    "values": lambda logs: dict(zip(logs, logs.values(), strict=True)),
    "get": lambda logs: {name: logs.get(name) for name in logs},
    "setdefault": lambda logs: {name: logs.setdefault(name, 0) for name in logs},
    "pop": lambda logs: {name: logs.pop(name) for name in list(logs)},
    "popitem": lambda logs: dict([logs.popitem(), logs.popitem()][::-1]),
    "format": lambda logs: {name: float(f"%({name})s" % logs) for name in logs},
}


@pytest.mark.parametrize("way", WAYS)
def test_whoever_reads_finds_floats_in_alphabetic_order(way: str) -> None:
    found = WAYS[way](some())
    assert type(found) is dict
    assert list(found.items()) == [("accuracy", 0.5), ("loss", 2.0)]
    assert {type(value) for value in found.values()} == {float}
    assert some() == found
    assert some() != {**found, "loss": 3.0}


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("grouped", [False, True])
def test_numbers_that_nobody_reads_stay_on_the_device_and_can_be_read_later(
    grouped: bool, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not grouped:
        monkeypatch.setattr(keras_callbacks, "MOST_BYTES_OF_STATE", 0)

    class Keeps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            kept.append(logs)
            on_device.append(isinstance(dict.__getitem__(logs, "loss"), jax.Array))

    kept: list[Any] = []
    on_device: list[bool] = []
    history = fittingroom.fit(models.small(), digits.x, digits.y, batch_size=4, callbacks=[Keeps()], verbose=0).history
    assert on_device == [not grouped] * 11  # of a group, all are fetched at once
    assert kept[-1] == {name: values[0] for name, values in history.items()}
    assert all(math.isfinite(logs["loss"]) for logs in kept)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("batches", [False, True])
def test_whoever_reads_that_the_loss_is_no_number_is_the_last_to_be_called(batches: bool, digits: Images) -> None:
    class Reads(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    seen: list[float] = []
    x = digits.x.copy()
    x[8] = 3e38  # in the third batch of four
    data = Gives([(x[start : start + 4], digits.y[start : start + 4]) for start in range(0, 44, 4)])
    given: dict[str, Any] = {"x": data} if batches else {"x": x, "y": digits.y, "batch_size": 4, "shuffle": False}
    with pytest.raises(DivergedError, match="at step 3"):
        fittingroom.fit(models.small(), **given, callbacks=[Reads()])
    assert len(seen) == 3
    assert np.isfinite(seen[:2]).all()
    assert not math.isfinite(seen[2])
