"""Several seeds at once: one lane per device, and in each lane one seed at a time, or many that ride together.

On a CPU every core is a device of its own (`fittingroom/__init__.py` asks JAX for that), so that as many seeds train
side by side as there are cores. Each runs the very program that it would run alone, so it ends with the same bits.

An accelerator is far from busy with one small network, so there the programs of many seeds become one program with one
more axis. Each seed keeps a trainer of its own, in a thread of its own, which calls the programs as if it were alone. A
call waits until every rider waits; then those that ask for the same steps are served together. So riders may stop,
leave and join at any time. On a CPU this gains nothing (a batched product is slower than one after the other).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.callbacks import StopRequest
from fittingroom.engine.devices import Sharing
from fittingroom.engine.epoch import Examples, Logs
from fittingroom.engine.programs import Order, ProgramName, Programs, ProgramSource, TracedPrograms
from fittingroom.engine.snapshots import Snapshot, Training
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer

SECONDS_BETWEEN_LOOKS = 0.1
# More seeds of a small network than this no longer make an accelerator faster; the others wait for a seat.
MOST_SEATS = 256


@dataclass(frozen=True)
class Lane:
    """A device on which seeds train.

    Args:
        device: as JAX knows it.
        programs: compiled for it.
        seats: how many seeds train there at once, each in a thread of its own.
    """

    device: jax.Device
    programs: Programs
    seats: int = 1

    @staticmethod
    def compiled(
        seeds: int,
        source: ProgramSource,
        traced: Callable[[], TracedPrograms],
        compile_lane: Callable[[Lane], None],
        request: StopRequest,
    ) -> list[Lane]:
        """The lanes for this many seeds: all cores or all accelerators, with their programs compiled.

        Where steps are so long that devices share each batch of one seed (`engine.devices`), seeds take turns on all of
        them: that takes no longer, and they end with the same bits as alone.

        Args:
            seeds: how many will train.
            source: where programs come from.
            traced: the same programs, traced in this process; called only where they are vectorised.
            compile_lane: compiles all that training needs in a lane.
            request: the request to stop that training will look at.
        """
        devices = jax.local_devices()[:seeds]
        seats = min(-(-seeds // len(devices)), MOST_SEATS)
        if devices[0].platform == "cpu" or seats == 1:
            alone = Lane(devices[0], Programs(source.on(Sharing.available())))
            compile_lane(alone)
            if alone.programs.devices > 1:
                return [alone]
            others = [Lane(device, Programs(source)) for device in devices[1:]]
        else:
            own = traced()
            alone, *others = [Lane(device, _VectorisedPrograms(own, seats, request), seats) for device in devices]
            compile_lane(alone)
        for lane in others:
            compile_lane(lane)
        return [alone, *others]


# Makes the trainer of a seed, by its number from 0, in a lane.
TrainerOf = Callable[[int, Lane], Trainer]


@dataclass(frozen=True)
class StartingPoint:
    """Where one seed starts: the arguments of its `Trainer.train`.

    Args:
        state: where it starts.
        resume: where it continues, in place of that.
        save: writes its snapshots.
    """

    state: State
    resume: Snapshot | None = None
    save: Callable[[Snapshot], None] | None = None


def train_seeds(
    lanes: Sequence[Lane], trainer: TrainerOf, starts: Sequence[StartingPoint], request: StopRequest
) -> list[Training]:
    """Trains one seed from each start, and returns what each left behind, in the same order.

    A seat takes the next seed as soon as it is free. A request to stop (Ctrl-C) reaches all of them; those that have
    not begun come back interrupted, without an epoch. An error in one of them, such as a callback's, stops the others
    too and is raised.

    Args:
        lanes: with compiled programs.
        trainer: makes the trainer of a seed.
        starts: one for each seed.
        request: to stop all of them.
    """
    work = _Work(trainer, starts, request)
    seats = [lane for lane in lanes for _ in range(lane.seats)]
    with request.listening(), ThreadPoolExecutor(len(seats)) as pool:
        futures = [pool.submit(work.in_lane, lane) for lane in seats]
        _wait(futures)
    for future in futures:
        future.result()
    return [work.results[number] for number in range(len(starts))]


def _wait(futures: Sequence[Future[None]]) -> None:
    """Waits for all seats; returns early on a second Ctrl-C, when they have heard the first and are about to end.

    It wakes up again and again because Python runs signal handlers in the main thread only, and only when that is
    awake.
    """
    with suppress(KeyboardInterrupt):
        while wait(futures, timeout=SECONDS_BETWEEN_LOOKS).not_done:
            pass


class _Work:
    """The seeds that wait for a seat, and the results of the others."""

    def __init__(self, trainer: TrainerOf, starts: Sequence[StartingPoint], request: StopRequest) -> None:
        self.results: dict[int, Training] = {}
        self._trainer = trainer
        self._starts = starts
        self._request = request
        self._waiting: SimpleQueue[int] = SimpleQueue()
        for number in range(len(starts)):
            self._waiting.put(number)

    def in_lane(self, lane: Lane) -> None:
        """What a seat does until no seed is waiting."""
        try:
            with jax.default_device(lane.device), suppress(Empty):
                while True:
                    self._train(self._waiting.get_nowait(), lane)
        except BaseException:
            self._request.reason = "another seed failed"
            raise
        finally:
            if isinstance(lane.programs, _VectorisedPrograms):
                lane.programs.leave()

    def _train(self, number: int, lane: Lane) -> None:
        start = self._starts[number]
        state = jax.device_put(start.state, lane.device)
        resume = None if start.resume is None else start.resume.on(lane.device)
        if self._request:
            self.results[number] = _left_alone(state, resume, self._request)
        else:
            self.results[number] = self._trainer(number, lane).train(state, self._request, resume, start.save)


def _left_alone(state: State, resume: Snapshot | None, request: StopRequest) -> Training:
    """What a seed leaves behind that was asked to stop before it could begin or continue."""
    if resume is None:
        return Training(state, status="interrupted", reason=request.reason)
    return Training(resume.kept or state, list(resume.epochs), "interrupted", request.reason)


# Which arguments of each program are a seed's own; the others are the same for all.
_OWN: dict[ProgramName, tuple[bool, ...]] = {
    "train": (True, False, True, False, False),  # state, examples, order, start, stop
    "evaluate": (True, False),  # state, examples
    "predict": (True, False),  # state, images
}
# One call of the vectorised program trains for about so many steps, so that Ctrl-C need not wait for an epoch.
STEPS_PER_CALL = 512


class _VectorisedPrograms(Programs):
    """The programs of several seeds that ride together, each in a thread that calls them as it would call `Programs`.

    Args:
        source: a model's programs, traced in this process: JAX cannot vectorise an exported program.
        riders: how many threads will call.
        request: to stop, which ends all calls.
    """

    def __init__(self, source: TracedPrograms, riders: int, request: StopRequest) -> None:
        super().__init__(_Vectorised(source))
        self._seats = riders
        self._riders = riders
        self._request = request
        self._turn = threading.Condition()
        self._waiting: dict[int, _Call] = {}  # by thread

    def prepare_train(
        self, state: State, examples: Examples, order: Order, name: Literal["train", "step", "group"] = "train"
    ) -> None:
        """Compiles the training program for all riders."""
        del name  # there are no steps of a rider alone
        self._prepare("train", (state, examples, order, np.int32(0), np.int32(0)))

    def prepare_evaluate(self, state: State, examples: Examples) -> None:
        """Compiles the evaluation program for all riders."""
        self._prepare("evaluate", (state.weights, examples))

    def step(self, state: State, examples: Examples, order: Order, start: int, stop: int) -> tuple[State, Logs]:
        """What `train` does: riders' states are parts of one."""
        return self.train(state, examples, order, start, stop)

    def _prepare(self, name: ProgramName, arguments: tuple[Any, ...]) -> None:
        self._executable(name, tuple(_stacked(name, [arguments] * self._seats)))

    def leave(self) -> None:
        """The calling thread will call no more; the others do not wait for it."""
        with self._turn:
            self._riders -= 1
            self._serve()

    def _call(self, name: ProgramName, *arguments: Any) -> Any:
        call = _Call(name, arguments)
        with self._turn:
            self._waiting[threading.get_ident()] = call
            self._serve()
            self._turn.wait_for(lambda: call.done)
        if call.error is not None:
            raise call.error
        return call.result

    def _serve(self) -> None:
        """If all riders wait, runs the calls that the fewest of them wait for; they then catch up with the others."""
        if not self._waiting or len(self._waiting) < self._riders:
            return
        groups: dict[Any, list[int]] = {}
        for thread, call in self._waiting.items():
            groups.setdefault(call.key, []).append(thread)
        calls = [self._waiting.pop(thread) for thread in min(groups.values(), key=len)]
        try:
            self._run(calls)
        except BaseException as error:  # every rider must hear of it, or it would wait for ever
            for call in calls:
                call.error = error
        for call in calls:
            call.done = True
        self._turn.notify_all()

    def _run(self, calls: list[_Call]) -> None:
        """Runs equal calls as one; empty seats repeat the first, so that the shapes are always the same."""
        name = calls[0].name
        seated = [*calls, *[calls[0]] * (self._seats - len(calls))]
        results = self._in_pieces(name, _stacked(name, [call.arguments for call in seated]))
        for seat, call in enumerate(calls):
            call.result = jax.tree.map(lambda array, seat=seat: array[seat], results)

    def _in_pieces(self, name: ProgramName, arguments: list[Any]) -> Any:
        if name != "train":
            return super()._call(name, *arguments)
        state, examples, order, start, stop = arguments
        step = int(start)
        while True:
            end = min(step + STEPS_PER_CALL, int(stop))
            state, logs = super()._call(name, state, examples, order, np.int32(step), np.int32(end))
            if end == int(stop):
                return state, logs
            jax.block_until_ready(logs)
            if self._request:
                raise KeyboardInterrupt
            step = end


@dataclass
class _Call:
    """The call of a rider, and its result."""

    name: ProgramName
    arguments: tuple[Any, ...]
    done: bool = False
    result: Any = None
    error: BaseException | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for calls that can be served together: what they do not own is the same."""
        shared = zip(_OWN[self.name], self.arguments, strict=True)
        return (self.name, *(_identity(argument) for own, argument in shared if not own))


def _identity(argument: Any) -> int:
    return int(argument) if isinstance(argument, np.int32) else id(argument)


def _stacked(name: ProgramName, each: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The arguments of all riders as those of the vectorised program."""
    return [
        jax.tree.map(lambda *parts: jnp.stack(parts), *own) if belongs else own[0]
        for belongs, own in zip(_OWN[name], zip(*each, strict=True), strict=True)
    ]


class _Vectorised:
    """A source of programs with one more axis, that of the riders."""

    def __init__(self, source: TracedPrograms) -> None:
        self._source = source

    def on(self, devices: int) -> _Vectorised:
        """The same programs: riders share a device, no batch is shared by devices."""
        del devices
        return self

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, vectorised over the arguments that are a seed's own."""
        own = _OWN[name]
        alone = tuple(
            jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), argument)
            if belongs
            else argument
            for belongs, argument in zip(own, arguments, strict=True)
        )
        axes = tuple(0 if belongs else None for belongs in own)
        return jax.jit(jax.vmap(self._source.program(name, alone), in_axes=axes)).lower(*arguments).compile()
