"""The steps of epochs over a user's iterable: small batches in groups, the next of which is made while one runs."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from fittingroom.engine.arrays import Array, Arrays
from fittingroom.engine.batch_steps import BatchPrograms
from fittingroom.engine.batches import Batches
from fittingroom.engine.epoch import Examples, Logs
from fittingroom.engine.state import State

# At most so many batches are a call of the program, and so many bytes; of larger batches, each is a call of its own.
MOST_BATCHES, MOST_BYTES = 16, 8 * 2**20
# So is each batch of a model whose state is larger: a group needs a copy of it.
MOST_BYTES_OF_STATE = 16 * 2**20
# How long the batches of a group are waited for: an iterable that takes longer is what all wait for.
SECONDS_PER_GROUP = 0.01
_ALIGNMENT = 64  # bytes; JAX takes over memory that begins at a multiple


class BatchFeed:
    """The steps of epochs over a user's iterable.

    The attributes are those of `ArrayFeed`.

    Args:
        programs: what batches go through.
        batches: the iterable.
    """

    at_once = False
    single_steps = True

    def __init__(self, programs: BatchPrograms, batches: Batches) -> None:
        self._programs = programs
        self._batches = batches
        self._own: State | None = None  # the last single step's result, whose memory nobody else needs
        self._most: int | None = None  # batches in a group; None before it is known
        self._staged: _Staged | None = None
        self._next: Arrays | None = None  # a batch of another form than those that are staged
        self._error: Exception | None = None  # of the batch after those
        self._over = False  # whether there is no batch after those
        self._done = 0  # steps of the epoch
        self.noted: Logs | None = None  # the logs after each step of the last call; None where it was a single step

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where it is known."""
        return self._batches.steps

    @property
    def images(self) -> int:
        """How many the epoch has trained on so far."""
        waiting = 0 if self._next is None else len(self._next)
        return self._batches.taken - waiting - (0 if self._staged is None else self._staged.images_after(self._done))

    @property
    def exhausted(self) -> bool:
        """Whether a generator ended before the epoch did."""
        return self._batches.exhausted

    def enter_groups(self) -> None:
        """Does nothing: batches come in groups anyway, where they are small."""

    def leave_groups(self) -> None:
        """Makes each batch a call of its own from now on."""
        self._most = 1

    def prepare(self, state: State) -> None:
        """Compiles the step for batches like the first, or that of groups of them."""
        first = self._batches.first
        if self._most is None:
            size = sum(part.nbytes for part in _parts(first))
            small = sum(value.nbytes for group in state for value in group) <= MOST_BYTES_OF_STATE
            self._most = max(1, min(MOST_BATCHES, MOST_BYTES // max(size, 1))) if small else 1
        if self._most > 1:
            self._programs.prepare_group(state, _Staged(first, self._most, 0).examples)
        else:
            self._programs.prepare_train(state, first.examples())

    def begin(self, epoch: int, first_epoch: int) -> None:
        """Starts an epoch."""
        del first_epoch
        self._own = None  # the trainer keeps the state of the epoch before
        self._staged, self._next, self._error, self._over, self._done = None, None, None, False, 0
        self._batches.begin(epoch)

    def gather(self, start: int, wanted: int) -> int:
        """How many steps the next call can have from step `start` on, at most as many as wanted; 0 at the data's end.

        Raises:
            DataError: the next batch cannot be trained on.
        """
        if self._staged is None or start >= self._staged.stop:
            self._staged = self._gathered(start, wanted)
        return 0 if self._staged is None else min(wanted, self._staged.stop - start)

    def _gathered(self, start: int, wanted: int) -> _Staged | None:
        """The next batches, as many as are alike, and as come while there is something else to do."""
        if self._error is not None:
            raise self._error
        batch, self._next = self._next or (None if self._over else self._batches.next()), None
        if batch is None:
            return None
        most = self._most or 1
        staged = _Staged(batch, most if _form(batch) == _form(self._batches.first) else 1, start)
        until = time.perf_counter() + SECONDS_PER_GROUP
        left = most if self.steps is None else self.steps - start
        while staged.count < min(wanted, staged.most, left) and time.perf_counter() < until:
            try:
                batch = self._batches.next()
            except Exception as error:  # the batches before it are trained on first
                self._error = error
                break
            if batch is None or not staged.add(batch):
                self._over, self._next = batch is None, batch
                break
        return staged

    def run(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        """Runs the steps `start` to `stop` on batches that `gather` took."""
        staged, self._done = self._staged, stop
        assert staged is not None
        if staged.most > 1:
            state, logs, self.noted = self.group(state, start, stop)
            return state, logs
        state = state if state is self._own else state.copied()
        result = self._programs.train(state, staged.examples, first=start == 0)
        self._own, self.noted = result[0], None
        return result

    def group(self, state: State, start: int, stop: int) -> tuple[State, Logs, Logs]:
        """The same, and the logs after each step; the state that it is given stays."""
        staged, self._done = self._staged, stop
        assert staged is not None
        if staged.most > 1:
            first = staged.start
            return self._programs.group(state, staged.examples, start - first, stop - first, first=start == 0)
        after, logs = self._programs.train(state.copied(), staged.examples, first=start == 0)
        return after, logs, {name: np.asarray(value)[None] for name, value in logs.items()}  # type: ignore[misc]

    def first_bad_step(self, before: State, start: int, stop: int) -> int:
        """The step with a non-finite loss, counted from 1: each call notes the losses of its steps."""
        del before, start
        return stop

    def end(self) -> None:
        """Ends the epoch."""
        self._batches.end()


class _Staged:
    """Batches that wait for their call, in memory of their own: an iterable may fill the same arrays again.

    Args:
        first: of them.
        most: how many there is room for; with 1, its arrays have no axis in front.
        start: the step of the first.
    """

    def __init__(self, first: Arrays, most: int, start: int) -> None:
        self.most, self.start, self.count = most, start, 1
        self._form = _form(first)
        self._size = len(first)
        self._room = [_aligned((most, *part.shape), part.dtype) for part in _parts(first)]
        for room, part in zip(self._room, _parts(first), strict=True):
            room[0] = part

    @property
    def stop(self) -> int:
        """The step after the last."""
        return self.start + self.count

    @property
    def examples(self) -> Examples:
        """Their arrays, `(most, batch, ...)`, of which some may be empty; `(batch, ...)` where there is one."""
        return Examples(*(self._room if self.most > 1 else (room[0] for room in self._room)))

    def images_after(self, step: int) -> int:
        """How many images the batches from a step on have."""
        return max(0, self.stop - step) * self._size

    def add(self, batch: Arrays) -> bool:
        """Takes one more; False if it has another form."""
        if _form(batch) != self._form:
            return False
        for room, part in zip(self._room, _parts(batch), strict=True):
            room[self.count] = part
        self.count += 1
        return True


def _parts(batch: Arrays) -> list[Array]:
    return [part for part in (batch.images, batch.labels, batch.weights) if part is not None]


def _form(batch: Arrays) -> list[Any]:
    return [(part.shape, part.dtype) for part in _parts(batch)]


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    before = -memory.ctypes.data % _ALIGNMENT
    return memory[before : before + size].view(dtype).reshape(shape)
