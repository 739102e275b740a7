"""Several devices that share each batch train what one device trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import layers

from fittingroom.engine import devices as mesh
from fittingroom.engine.devices import _SharedProgram, _sharing_devices, work_per_step
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.engine.state import State
from tests.engine.images import Images
from tests.engine.models import SPARSE, small

two_devices = pytest.mark.skipif(jax.local_device_count() < 2, reason="one device only")


@pytest.fixture
def cheap_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a step that is too small to gain is shared."""
    monkeypatch.setattr(mesh, "COST_OF_MEETING", 0)
    monkeypatch.setattr(mesh, "COST_PER_WEIGHT", 0)


def convolutional(hidden: Sequence[Any] = ()) -> keras.Model:
    keras.utils.set_random_seed(1)
    chain = [
        layers.Reshape((8, 8, 1)),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.SeparableConv2D(6, 2),
        *hidden,
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((8, 8)), *chain])
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss=SPARSE, metrics=["accuracy"])
    return model


def normalised() -> keras.Model:
    """A smaller one, which takes a third of the time to compile."""
    keras.utils.set_random_seed(1)
    chain = [layers.Reshape((8, 8, 1)), layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    model = keras.Sequential([keras.Input((8, 8)), *chain, layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss=SPARSE, metrics=["accuracy"])
    return model


def whole_batches(digits: Images) -> Images:
    """Two batches of 16: the step for a smaller last one is compiled besides, and has a test of its own."""
    return Images(digits.x[:32], digits.y[:32], digits.x_val, digits.y_val)


def prepared(model: keras.Model, digits: Images) -> tuple[TracedPrograms, State, Examples]:
    model.optimizer.build(model.trainable_variables)
    ModelChecks(model).build(digits.x, digits.y, None, 10)  # makes the variables of the metrics
    examples = Examples(jnp.asarray(digits.x), jnp.asarray(digits.y))
    return TracedPrograms(KerasSteps(model).functions(), 16, None, evaluation_batch=12), State.of(model), examples


def order_of(examples: Examples) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).permutation(len(examples.images)).astype(np.int32)


def one_epoch(programs: Programs, state: State, examples: Examples) -> Any:
    order = order_of(examples)
    state, logs = programs.train(state, examples, order, 0, 1)
    state, logs = programs.train(state, examples, order, 1, 3)
    return jax.tree.map(np.asarray, (state, logs, programs.evaluate(state, examples)))


@two_devices
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutional, id="batch normalisation", marks=pytest.mark.slow),
        pytest.param(lambda: convolutional([layers.Dropout(0.5)]), id="dropout", marks=pytest.mark.slow),
        pytest.param(lambda: small(optimizer="rmsprop"), id="dense"),
    ],
)
def test_two_devices_train_what_one_trains(cheap_sharing: None, digits: Images, model: Any) -> None:
    traced, state, examples = prepared(model(), digits)
    alone, together = Programs(traced), Programs(traced.on(2))
    expected, found = (one_epoch(programs, state, examples) for programs in (alone, together))
    assert (alone.devices, together.devices) == (1, 2)
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


@two_devices
def test_a_last_batch_that_cannot_be_shared_is_computed_whole(cheap_sharing: None, digits: Images) -> None:
    odd = Images(digits.x[:35], digits.y[:35], digits.x_val, digits.y_val)  # batches of 16, 16 and 3
    traced, state, examples = prepared(small(), odd)
    order = np.arange(35, dtype=np.int32)
    states = [Programs(source).train(state, examples, order, 0, 3)[0] for source in (traced, traced.on(2))]
    for one, two in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)


@two_devices
def test_shared_training_gives_the_same_bits_again(cheap_sharing: None, digits: Images) -> None:
    traced, state, examples = prepared(normalised(), whole_batches(digits))
    programs = Programs(traced.on(2))
    first, second = (one_epoch(programs, state, examples) for _ in range(2))
    assert programs.devices == 2
    jax.tree.map(np.testing.assert_array_equal, first, second)


@two_devices
def test_results_of_shared_programs_lie_on_one_device(cheap_sharing: None, digits: Images) -> None:
    traced, state, examples = prepared(small(), digits)
    result = Programs(traced.on(2)).train(state, examples, order_of(examples), 0, 3)
    assert {frozenset(array.devices()) for array in jax.tree.leaves(result)} == {frozenset(jax.local_devices()[:1])}


@two_devices
def test_the_work_is_divided(cheap_sharing: None, digits: Images) -> None:
    traced, state, examples = prepared(normalised(), whole_batches(digits))
    program = traced.on(2).compile("train", (state, examples, order_of(examples), np.int32(0), np.int32(0)))
    assert isinstance(program, _SharedProgram)
    text = program._compiled.as_text()  # type: ignore[attr-defined]
    assert "all-reduce" in text
    assert "f32[8,6,6,4]" in text  # eight of the sixteen images of a batch
    assert "f32[16,6,6,4]" not in text


@two_devices
@pytest.mark.parametrize("model", [normalised, pytest.param(convolutional, marks=pytest.mark.slow)])
def test_seeds_give_the_same_bits_on_every_device(digits: Images, model: Any) -> None:
    traced, state, examples = prepared(model(), whole_batches(digits))
    results = []
    for device in jax.local_devices()[:2]:
        with jax.default_device(device):
            own = jax.device_put((state, examples), device)
            results.append(one_epoch(Programs(traced), *own))
    jax.tree.map(np.testing.assert_array_equal, *results)


@two_devices
def test_evaluation_is_shared_only_where_training_is(monkeypatch: pytest.MonkeyPatch, digits: Images) -> None:
    """Where it was shared alone, seeds of a wide layer took turns on all cores instead of a core each."""
    model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)])
    model.compile("sgd", SPARSE)
    traced, state, examples = prepared(model, digits)
    large = traced.on(2)
    large.evaluation_batch = 40  # so many images are more work than a training step with its 16
    monkeypatch.setattr(mesh, "COST_PER_WEIGHT", 0)
    evaluation = (state.weights, examples)
    work = work_per_step(jax.make_jaxpr(large.program("evaluate", evaluation))(*evaluation).jaxpr)
    monkeypatch.setattr(mesh, "COST_OF_MEETING", work // 2)
    assert isinstance(large.compile("evaluate", evaluation), _SharedProgram)
    programs = Programs(large)
    programs.prepare_train(state, examples, order_of(examples))
    programs.prepare_evaluate(state, examples)
    assert programs.devices == 1
    assert not any(isinstance(program, _SharedProgram) for program in programs._compiled.values())


def test_small_steps_are_not_shared(digits: Images) -> None:
    traced, state, examples = prepared(small(), digits)
    programs = Programs(traced.on(2))
    programs.prepare_train(state, examples, order_of(examples))
    assert programs.devices == 1


@pytest.mark.parametrize(
    ("work", "weights", "batch_size", "available", "devices"),
    [
        (6_500_000, 102_000, 32, 2, 1),  # the course's model
        (743_000_000, 50_000, 64, 2, 2),  # two convolutions
        (743_000_000, 50_000, 63, 2, 1),  # no equal parts
        (743_000_000, 50_000, 63, 4, 3),
        (743_000_000, 50_000, 64, 1, 1),
        (410_000_000, 670_000, 256, 2, 1),  # more weights than work
        (10**10, 50_000, 64, 6, 4),
        (10**8, 50_000, 64, 64, 2),  # more devices would have too little to do
    ],
)
def test_devices_share_what_is_worth_sharing(
    work: int, weights: int, batch_size: int, available: int, devices: int
) -> None:
    assert _sharing_devices(work, weights, batch_size, available) == devices


def test_work_is_that_of_one_step() -> None:
    def program(images: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
        def step(_: Any, total: jax.Array) -> jax.Array:
            layout = ("NHWC", "HWIO", "NHWC")
            hidden = jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)
            result: jax.Array = total + (hidden.reshape(5, -1) @ weights).sum()
            return result

        start = (images[:, 0, 0] @ jnp.ones((2, 7))).sum()
        total: jax.Array = jax.lax.fori_loop(0, images.shape[0], step, start)
        return total

    shapes = (jnp.ones((5, 4, 4, 2)), jnp.ones((3, 3, 2, 6)), jnp.ones((4 * 4 * 6, 10)))
    work = work_per_step(jax.make_jaxpr(program)(*shapes).jaxpr)
    assert work == 5 * 4 * 4 * 6 * (3 * 3 * 2) + 5 * (4 * 4 * 6) * 10
