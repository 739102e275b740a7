"""An epoch is one compiled program: nothing is traced or compiled again after the first."""

from __future__ import annotations

import logging
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.engine.state import State
from tests.engine import models
from tests.engine.images import Images


class CountsTraces(models.Subclassed):
    """Counts how often Keras code of the model is run, which is only while it is traced."""

    traces = 0

    def call(self, images: Any, training: bool = False) -> Any:
        type(self).traces += 1
        return super().call(images, training)


class Watch(keras.callbacks.Callback):
    """Notes after each epoch how often the model was traced, and what JAX has said of compiling."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        super().__init__()
        self.caplog = caplog
        self.traces: list[int] = []
        self.compiled: list[int] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.traces.append(CountsTraces.traces)
        self.compiled.append(sum(record.message.startswith("Compiling") for record in self.caplog.records))


def test_later_epochs_and_the_smaller_last_batch_trace_and_compile_nothing(
    digits: Images, caplog: pytest.LogCaptureFixture
) -> None:
    model = CountsTraces()
    model.compile(optimizer="adam", loss=models.SPARSE, metrics=["accuracy"])
    watch = Watch(caplog)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        validation = (digits.x_val, digits.y_val)
        fittingroom.fit(
            model, digits.x, digits.y, batch_size=16, epochs=4, validation_data=validation, callbacks=[watch], verbose=0
        )
    for counts in (watch.traces, watch.compiled):
        assert counts[0] > 0
        assert counts == [counts[0]] * 4


@pytest.fixture(scope="module")
def traced(digits: Images) -> tuple[Programs, State, Examples]:
    """Programs with batches of 16 of 44 images, of which nothing is compiled yet."""
    model = models.small()
    ModelChecks(model).build(digits.x[:1], digits.y[:1], None, 10)
    programs = Programs(TracedPrograms(KerasSteps(model).functions(), 16, None))
    return programs, State.of(model), Arrays(digits.x, digits.y).examples()


def test_the_pieces_of_an_epoch_are_the_same_program_and_give_the_same_bits(
    traced: tuple[Programs, State, Examples],
) -> None:
    programs, start, examples = traced
    order = np.random.default_rng(0).permutation(44).astype(np.int32)
    whole, logs = programs.train(start, examples, order, 0, 3)
    state = start
    for step in range(3):
        state, piecewise = programs.train(state, examples, order, step, step + 1)
    assert programs.compilations == 1
    assert all(
        np.array_equal(mine, other) for mine, other in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True)
    )
    assert jax.device_get(logs) == jax.device_get(piecewise)


def test_predictions_of_any_number_of_images_compile_powers_of_two_only(
    traced: tuple[Programs, State, Examples], digits: Images
) -> None:
    programs, state, _ = traced
    before = programs.compilations
    everything = programs.log_probabilities(state, digits.x)
    for count in (33, 40, 43):
        np.testing.assert_array_equal(programs.log_probabilities(state, digits.x[:count]), everything[:count])
    assert programs.compilations == before + 1
