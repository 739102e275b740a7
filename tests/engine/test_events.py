"""What callbacks are told, in which order and with which numbers: as by Keras, whatever makes the steps of an epoch."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

X, Y = np.random.default_rng(0).uniform(0, 1, (50, 8, 8)).astype(np.float32), np.arange(50) % 3
EVENTS = [
    f"{part}_{end}" for part in ("train", "epoch", "train_batch", "test", "test_batch") for end in ("begin", "end")
]


class Batches(keras.utils.PyDataset):
    """Five batches, which note what is asked of them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int | str] = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        self.seen.append(index)
        return X[index * 10 : index * 10 + 10], Y[index * 10 : index * 10 + 10]

    def on_epoch_end(self) -> None:
        self.seen.append("end")


def all_events(seen: list[Any]) -> keras.callbacks.Callback:
    """A callback that notes every event, its number and the names in its logs."""

    class Watch(keras.callbacks.Callback):
        pass

    def noting(event: str) -> Any:
        def note(self: Any, *numbers: Any, logs: Any = None) -> None:
            if numbers and isinstance(numbers[-1], dict):
                *numbers, logs = numbers  # type: ignore[assignment]
            seen.append((event, [number for number in numbers if number is not None], sorted(logs or ())))

        return note

    for event in EVENTS:
        setattr(Watch, f"on_{event}", noting(event))
    return Watch()


def told(fit: Any, together: int, steps: int | None, validation_steps: int | None, kind: str) -> Any:
    """Everything that callbacks and a PyDataset hear, and what comes back."""
    seen: list[Any] = []
    model = models.uncompiled(outputs=3)
    model.compile("sgd", models.SPARSE, metrics=["accuracy"], steps_per_execution=together)
    arguments: dict[str, Any] = {"epochs": 3, "verbose": 0, "shuffle": False, "callbacks": [all_events(seen)]}
    arguments |= {"steps_per_epoch": steps, "validation_steps": validation_steps}
    train, validation = Batches(), Batches()
    if kind == "arrays":
        history = fit(model, X, Y, batch_size=10, validation_data=(X, Y), **arguments)
    else:
        history = fit(model, train, validation_data=validation, **arguments)
    numbers = {name: np.round(values, 5).tolist() for name, values in history.history.items()}
    # We look at the first batch of validation before training, so that what is wrong with it is said then.
    walked = train.seen, sorted(map(str, validation.seen))
    return seen, history.params, numbers, int(model.optimizer.iterations), walked


GRID = list(itertools.product((1, 2, 3), (None, 2, 3), (None, 1, 3), ("arrays", "batches")))
QUICK = [(2, 3, 1, "batches"), (2, 3, None, "arrays"), (1, 2, None, "batches")]


@pytest.mark.filterwarnings("ignore:.*ran out of data.*")
@pytest.mark.parametrize("way", [pytest.param(way, marks=() if way in QUICK else pytest.mark.slow) for way in GRID])
def test_callbacks_hear_what_keras_tells_them(way: Any) -> None:
    """Groups of batches (steps_per_execution), parts of a pass, the end of the data, validation on a part."""
    assert told(fittingroom.fit, *way) == told(keras.Model.fit, *way)


@pytest.mark.filterwarnings("ignore:.*ran out of data.*", "ignore:Limiting")
def test_the_limits_of_keras_config_are_kept() -> None:
    keras.config.set_max_epochs(2)
    keras.config.set_max_steps_per_epoch(3)
    try:
        ours, theirs = (told(fit, 1, None, None, "arrays") for fit in (fittingroom.fit, keras.Model.fit))
        run = fittingroom.fit(models.small(outputs=3), X, Y, epochs=3, verbose=0)
    finally:
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    assert ours == theirs
    assert ours[3] == 3 + 2  # the second epoch has what is left of the pass
    assert run.record.notes[:2] == (
        "Training is limited to 2 epochs by keras.config.set_max_epochs.",
        "Each epoch is limited to 3 steps by keras.config.set_max_steps_per_epoch.",
    )
