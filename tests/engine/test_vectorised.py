"""Seeds that ride together on an accelerator: tried on a CPU, where it is slower but must give the same."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fittingroom.engine.callbacks import Callback, Numbers, StopCallback, StopRequest
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.lanes import Lane, StartingPoint, _VectorisedPrograms, train_seeds
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.engine.snapshots import Training, TrainingPlan
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.progress import Progress
from fittingroom.recipes.stop import StopRule
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Rides:
    """Four seeds of a small network, to be trained alone or together."""

    def __init__(self, digits: Images) -> None:
        model = models.small()
        ModelChecks(model).build(digits.x[:1], digits.y[:1], None, 10)
        self.traced = TracedPrograms(KerasSteps(model).functions(), 16, None)
        self.train = Examples(jnp.asarray(digits.x), jnp.asarray(digits.y))
        self.held_out = Examples(jnp.asarray(digits.x_val), jnp.asarray(digits.y_val))
        start = State.of(model)
        self.states = [
            start._replace(trainable=tuple(np.asarray(value) * (1 + seed / 4) for value in start.trainable))
            for seed in range(4)
        ]

    @property
    def starts(self) -> list[StartingPoint]:
        return [StartingPoint(state) for state in self.states]

    def trainer(self, number: int, lane: Lane, callbacks: tuple[Callback, ...] = (), epochs: int = 4) -> Trainer:
        plan = TrainingPlan(epochs, 16, seed=number)
        return Trainer(lane.programs, plan, self.train, self.held_out, callbacks, Progress())

    def alone(self, number: int, *callbacks: Callback) -> Training:
        lane = Lane(jax.devices()[0], Programs(self.traced))
        return self.trainer(number, lane, callbacks).train(self.states[number])

    def lane(self, seats: int, request: StopRequest) -> Lane:
        return Lane(jax.devices()[0], _VectorisedPrograms(self.traced, seats, request), seats)


@pytest.fixture
def rides(digits: Images) -> Rides:
    return Rides(digits)


def assert_alike(together: Training, alone: Training) -> None:
    assert together.status == alone.status
    assert len(together.epochs) == len(alone.epochs)
    for mine, other in zip(together.epochs, alone.epochs, strict=True):
        assert mine.logs == pytest.approx(other.logs, abs=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), together.state, alone.state)


# With three seats the fourth seed joins when one has left.
@pytest.mark.parametrize("seats", [pytest.param(4, marks=pytest.mark.slow), 3])
def test_riders_train_as_they_would_alone(rides: Rides, seats: int) -> None:
    request = StopRequest()
    together = train_seeds([rides.lane(seats, request)], rides.trainer, rides.starts, request)
    for number, training in enumerate(together):
        assert_alike(training, rides.alone(number))


def test_a_rider_that_stops_leaves_and_the_others_ride_on(rides: Rides) -> None:
    def callbacks(number: int) -> tuple[Callback, ...]:
        return (StopCallback(StopRule(["loss<100"])),) if number == 1 else ()

    request = StopRequest()
    together = train_seeds(
        [rides.lane(4, request)],
        lambda number, lane: rides.trainer(number, lane, callbacks(number)),
        rides.starts,
        request,
    )
    assert [len(training.epochs) for training in together] == [4, 1, 4, 4]
    for number, training in enumerate(together):
        assert_alike(training, rides.alone(number, *callbacks(number)))


def test_a_rider_whose_loss_is_not_finite_names_its_step_and_the_others_ride_on(rides: Rides) -> None:
    broken = jax.tree.map(np.array, rides.states[2].trainable)
    broken[0][:] = np.nan
    rides.states[2] = rides.states[2]._replace(trainable=broken)
    request = StopRequest()
    together = train_seeds([rides.lane(4, request)], rides.trainer, rides.starts, request)
    assert [training.status for training in together] == ["finished", "finished", "diverged", "finished"]
    assert together[2].reason == rides.alone(2).reason
    assert_alike(together[3], rides.alone(3))


def test_a_request_to_stop_ends_all_riders(rides: Rides) -> None:
    request = StopRequest()

    class Asks(Callback):
        def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
            request.reason = "enough"
            return state

    together = train_seeds(
        [rides.lane(4, request)],
        lambda number, lane: rides.trainer(number, lane, (Asks(),), epochs=1000),
        rides.starts,
        request,
    )
    assert {training.status for training in together} == {"interrupted"}


def test_calls_are_gathered_into_one(rides: Rides) -> None:
    """Two riders, one compilation: a program for both, and none for each."""
    programs = _VectorisedPrograms(rides.traced, 2, StopRequest())
    order = np.arange(rides.train.images.shape[0], dtype=np.int32)

    def call(number: int) -> Mapping[str, float]:
        _, logs = programs.train(rides.states[number], rides.train, order, 0, 2)
        return {name: float(value) for name, value in logs.items()}

    with ThreadPoolExecutor(2) as pool:
        logs = list(pool.map(call, range(2)))
    assert programs.compilations == 1
    assert logs[0] != logs[1]
    assert threading.active_count() < 50
