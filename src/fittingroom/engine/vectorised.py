"""Replicas that ride one device together: their calls of a program are gathered and run as one vectorised program.

An accelerator is far from busy with one small network, so there the programs of many replicas become one program with
one more axis. Each replica keeps a trainer of its own, in a thread of its own, which calls the programs as if it were
alone. A call waits until every rider waits; then those that ask for the same steps are served together. So riders may
stop, leave and join at any time. On a CPU this gains nothing (a batched product is slower than one after the other).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.epoch import Examples, Logs
from fittingroom.engine.interrupt import StopRequest
from fittingroom.engine.programs import Order, ProgramName, Programs, TracedPrograms, without_training
from fittingroom.engine.state import State

# Which arguments of each program belong to a replica; the others are the same for all.
_OWN: dict[ProgramName, tuple[bool, ...]] = {
    "train": (True, False, True, False, False),  # state, examples, order, start, stop
    "evaluate": (True, False),  # state, examples
    "predict": (True, False),  # state, images
}
# One call of the vectorised program trains for about so many steps, so that Ctrl-C need not wait for an epoch.
STEPS_PER_CALL = 512


class VectorisedPrograms(Programs):
    """The programs of a fixed number of riders; threads call it as they would call `Programs`.

    Args:
        source: a model's programs, traced in this process. (JAX cannot vectorise a program that was exported.)
        riders: how many threads will call.
        request: a request to stop, which ends all calls.
    """

    def __init__(self, source: TracedPrograms, riders: int, request: StopRequest) -> None:
        super().__init__(_Vectorised(source))
        self._seats = riders
        self._riders = riders
        self._request = request
        self._turn = threading.Condition()
        self._waiting: dict[int, _Call] = {}  # by thread

    def prepare_train(self, state: State, examples: Examples, order: Order, *, steps: bool = False) -> None:
        """Compiles the training program for all riders."""
        del steps  # there are none of a rider alone
        self._prepare("train", (state, examples, order, np.int32(0), np.int32(0)))

    def prepare_evaluate(self, state: State, examples: Examples) -> None:
        """Compiles the evaluation program for all riders."""
        self._prepare("evaluate", (without_training(state), examples))

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
    """What a rider wants, and what became of it."""

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
        """The program `name`, vectorised over what belongs to a replica."""
        own = _OWN[name]
        alone = tuple(
            jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), argument)
            if belongs
            else argument
            for belongs, argument in zip(own, arguments, strict=True)
        )
        axes = tuple(0 if belongs else None for belongs in own)
        return jax.jit(jax.vmap(self._source.program(name, alone), in_axes=axes)).lower(*arguments).compile()


def _without_riders(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
