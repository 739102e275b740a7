"""What the steps of an epoch are made of: arrays that lie on the device, or batches that come one by one.

The numbers of one batch, as callbacks get them: floats that are fetched from the device when they are first read.

A callback that watches batches need not look at their numbers. While it does not, the next steps begin before this one
is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np

from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.epoch import Examples, Logs
from fittingroom.engine.programs import Order, Programs
from fittingroom.engine.state import State, copied
from fittingroom.seeds import generator

if TYPE_CHECKING:
    from fittingroom.engine.programs import BatchPrograms
    from fittingroom.engine.snapshots import Plan


class Feed(Protocol):
    """The steps of one epoch after the other."""

    @property
    def at_once(self) -> bool:
        """Whether an epoch can go on from any of its steps."""
        ...

    @property
    def single_steps(self) -> bool:
        """Whether each call runs one step, and takes over the memory of the state before it."""
        ...

    @property
    def steps(self) -> int | None:
        """Steps of the epoch that has begun; None where only its end will tell."""
        ...

    @property
    def images(self) -> int:
        """Images of the epoch that has begun, or what it has given so far."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left for another epoch."""
        ...

    def prepare(self, state: State) -> None:
        """Compiles."""
        ...

    def begin(self, epoch: int, first_epoch: int) -> None:
        """Starts an epoch of a training that started with `first_epoch`; both are counted from 0."""
        ...

    def more(self) -> bool:
        """Whether there is something for another step, which is looked at before hooks are told of the step."""
        ...

    def run(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        """Runs the steps `start` to `stop` of the epoch."""
        ...

    def end(self) -> None:
        """Ends the epoch."""
        ...


class ArrayFeed:
    """Arrays on the device, in an order of each pass's own. A pass is once through all images.

    With fewer steps in an epoch than in a pass, the next epoch goes on where this one ended, and the last epoch of a
    pass has what is left of it, as in Keras.
    """

    at_once = True
    exhausted = False

    def __init__(self, programs: Programs, plan: Plan, examples: Examples, *, single_steps: bool = False) -> None:
        self._programs = programs
        self.single_steps = single_steps
        self._own: State | None = None  # what the last step made and nobody else keeps
        self._order_on_device: Any = None
        self._plan = plan
        self._examples = examples
        self._count = examples.images.shape[0]
        self._pass_steps = -(-self._count // plan.batch_size)
        self._epoch_steps = min(plan.steps_per_epoch or self._pass_steps, self._pass_steps)
        self._order = self.order(plan.first_epoch)
        self._start = 0
        self.steps: int | None = self._epoch_steps
        self.images = self._count

    def prepare(self, state: State) -> None:
        """Compiles the program of the epoch."""
        self._programs.prepare_train(state, self._examples, self._order, steps=self.single_steps)

    def begin(self, epoch: int, first_epoch: int) -> None:
        """Chooses the order, and the steps of the pass that are the epoch's."""
        passed, place = divmod(epoch - first_epoch, -(-self._pass_steps // self._epoch_steps))
        self._order = self.order(first_epoch + passed)
        self._order_on_device = None
        self._own = None  # that of the epoch before is kept
        self._start = place * self._epoch_steps
        self.steps = min(self._epoch_steps, self._pass_steps - self._start)
        size = self._plan.batch_size
        self.images = min((self._start + self.steps) * size, self._count) - self._start * size

    def more(self) -> bool:
        """Always: the steps of an epoch are known."""
        return True

    def run(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        """Runs the steps `start` to `stop` of the epoch."""
        first, last = self._start + start, self._start + stop
        if start == 0 and self._start:  # no step at all, but metrics start afresh at step 0 of the program only
            state, _ = self._call(state, 0, 0)
        return self._call(state, first, last)

    def _call(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        if not self.single_steps:
            return self._programs.train(state, self._examples, self._order, start, stop)
        state = state if state is self._own else copied(state)
        if self._order_on_device is None:
            self._order_on_device = jax.device_put(self._order)
        result = self._programs.step(state, self._examples, self._order_on_device, start, stop)
        self._own = result[0]
        return result

    def end(self) -> None:
        """Nothing."""

    def order(self, number: int) -> Order:
        """The order of the images in a pass, int32; it depends on the seed and the number of the pass alone."""
        if not self._plan.shuffle:
            return np.arange(self._count, dtype=np.int32)
        return generator(self._plan.seed, "shuffle", number).permutation(self._count).astype(np.int32)


class BatchFeed:
    """Batches of a user's iterable, one compiled step each."""

    at_once = False
    single_steps = True

    def __init__(self, programs: BatchPrograms, batches: Batches) -> None:
        self._programs = programs
        self._batches = batches
        self._next: Arrays | None = None
        self._own: State | None = None  # what the last step made and nobody else keeps

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where it is known."""
        return self._batches.steps

    @property
    def images(self) -> int:
        """How many the epoch has given so far."""
        return self._batches.taken

    @property
    def exhausted(self) -> bool:
        """Whether a generator ended before the epoch did."""
        return self._batches.exhausted

    def prepare(self, state: State) -> None:
        """Compiles the step for batches like the first."""
        self._programs.prepare_train(state, self._batches.first.examples())

    def begin(self, epoch: int, first_epoch: int) -> None:
        """Starts an epoch."""
        del first_epoch
        self._own = None  # that of the epoch before is kept
        self._batches.begin(epoch)

    def more(self) -> bool:
        """Takes the next batch, if there is one."""
        self._next = self._batches.next()
        return self._next is not None

    def run(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        """Runs one step on the batch that `more` took; `stop` is `start + 1`."""
        del stop
        batch = self._next
        assert batch is not None
        state = state if state is self._own else copied(state)
        result = self._programs.train(state, _of_its_own(batch), first=start == 0)
        self._own = result[0]
        return result

    def end(self) -> None:
        """Ends the epoch."""
        self._batches.end()


def _of_its_own(batch: Arrays) -> Examples:
    """A batch in memory of its own: its step may still wait when an iterable fills the same arrays again."""
    parts = (batch.images, batch.labels, batch.weights)
    return Examples(*(None if part is None else np.array(part) for part in parts))  # type: ignore[arg-type]


class BatchLogs(dict[str, Any]):
    """A dict of names and floats; whatever reads a value of it waits for the device, and finds a float.

    Args:
        logs: numbers on the device, which may still be computed. As in Keras, their names come in alphabetic order.
    """

    def __init__(self, logs: Logs) -> None:
        super().__init__((name, logs[name]) for name in sorted(logs))

    @property
    def has_read_nan(self) -> bool:
        """Whether someone has read the loss, and it is NaN or infinite. This waits for nothing."""
        loss = super().get("loss")
        return type(loss) is float and not math.isfinite(loss)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if hasattr(value, "block_until_ready"):  # still on the device
            value = float(np.asarray(value))
            super().__setitem__(name, value)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict's."""
        return self[name] if name in self else default  # noqa: SIM401 - that would be this method itself

    def values(self) -> Any:
        """As a dict's."""
        self._fetch()
        return super().values()

    def items(self) -> Any:
        """As a dict's."""
        self._fetch()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def pop(self, name: str, *default: Any) -> Any:
        """As a dict's."""
        self._fetch()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """As a dict's."""
        self._fetch()
        return super().popitem()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As a dict's."""
        super().setdefault(name, default)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        # With a method of its own, `dict(logs)` and `{**logs}` read the values through `__getitem__`.
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        self._fetch()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return dict(self) | dict(other)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def _fetch(self) -> None:
        """Fetches all values."""
        for name in self:
            self[name]
