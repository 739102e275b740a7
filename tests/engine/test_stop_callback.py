"""Stop conditions, with scripted numbers: no training."""

from __future__ import annotations

from fittingroom.engine.callbacks import StopCallback
from fittingroom.engine.state import State
from fittingroom.recipes.stop import StopRule

STATE = State((), (), (), ())


def reasons(condition: str, name: str, values: list[float]) -> list[str | None]:
    """What the callback says before the first epoch and after each."""
    callback = StopCallback(StopRule([condition]))
    said = [callback.stop_reason()]
    for epoch, value in enumerate(values):
        assert callback.epoch_end(STATE, epoch, {name: value}) is STATE
        said.append(callback.stop_reason())
    return said


def test_it_stops_after_the_first_epoch_below_the_threshold() -> None:
    said = reasons("loss<0.4", "loss", [0.5, 0.4, 0.39])
    assert said[:3] == [None, None, None]
    assert said[3] == "loss<0.4 after epoch 3 (loss 0.3900)"


def test_it_stops_when_no_new_best_came_for_as_long_as_it_is_patient() -> None:
    said = reasons("val_loss rises 2", "val_loss", [0.5, 0.4, 0.45, 0.42])
    assert said[:4] == [None] * 4
    assert said[4] is not None
    assert "after epoch 4" in said[4]


def test_a_new_best_starts_the_count_again() -> None:
    assert reasons("val_accuracy falls 2", "val_accuracy", [0.5, 0.4, 0.6, 0.5, 0.7]) == [None] * 6


def test_numbers_that_are_none_never_stop_a_threshold() -> None:
    assert reasons("loss<0.4", "loss", [float("nan")]) == [None, None]


def test_it_watches_no_batches() -> None:
    assert not StopCallback(StopRule(["loss<1"])).watches_batches
