"""Whoever may watch, change or stop training: callbacks, the stop conditions of a recipe, Ctrl-C and SIGTERM.

What Keras callbacks remember between epochs (patience, the best value so far, restored weights) is kept as plain data.
They cannot be saved, but what they remember is in their attributes, and those of Keras's own are numbers, texts and
arrays: these are kept, whatever the callback. Nothing is pickled, so a checkpoint can hold no code.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from fittingroom.engine.state import State
from fittingroom.errors import InputError
from fittingroom.text import word_list

if TYPE_CHECKING:
    import keras

    from fittingroom.recipes.stop import StopRule

Numbers = dict[str, float]


class Callback:
    """What the trainer calls at its events. This one does nothing; a callback overrides the events that it cares about.

    Most events get the state and return it, changed or not. A callback that leaves it alone returns the very same
    object, by which the trainer knows that its weights are validated already. Keras's own callbacks are behind
    `engine.keras_callbacks`.

    Attributes:
        watches_batches: whether it is called for the batches of training.
        watches_batch_begins: of these, for their begins too.
        watches_test_batches: whether it is called for the batches of validation.
        ends_quietly_on_nan: whether a non-finite loss ends training without an error.
    """

    watches_batches: bool = False
    watches_batch_begins: bool = True
    watches_test_batches: bool = False
    ends_quietly_on_nan: bool = False

    def for_groups(self) -> Any:
        """`KerasCallbacks` that may be called for a group of steps when it is done; None if they must be after each."""
        return None

    def initial_epoch(self) -> int | None:
        """The epoch to begin with, counted from 0, asked after `train_begin`; None for that of the plan."""
        return None

    def train_begin(self, state: State) -> State:
        """Before the first epoch."""
        return state

    def epoch_begin(self, state: State, epoch: int) -> State:
        """Before an epoch, counted from 0."""
        del epoch
        return state

    def batch_begin(self, state: State, step: int) -> State:
        """Before a batch, counted from 0 in its epoch; or before every k-th, where the plan has `batch_hooks_every`."""
        del step
        return state

    def batch_end(self, state: State, step: int, logs: Numbers) -> State:
        """After a batch, or the last of k; `logs` are the running means since the epoch began."""
        del step, logs
        return state

    @staticmethod
    def last_of_group(done: int, every: int) -> int:
        """The batch number that Keras gives callbacks after `done` batches: the last one of their group of `every`.

        At the end of an epoch a group may have fewer batches. Keras then gives the number that its last one would have.
        """
        return (done - 1) // every * every + every - 1

    def test_begin(self, state: State) -> State:
        """Before validation."""
        return state

    def test_batch_begin(self, step: int) -> None:
        """Before a batch of validation, where the callback watches them."""

    def test_batch_end(self, step: int, logs: Numbers) -> None:
        """After a batch of validation; `logs` are the running means since validation began."""

    def test_end(self, state: State, logs: Numbers) -> State:
        """After validation."""
        del logs
        return state

    def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
        """After an epoch and its validation."""
        del epoch, logs
        return state

    def train_end(self, state: State, logs: Numbers) -> State:
        """After the last epoch, also when training was stopped."""
        del logs
        return state

    def memory(self) -> Any:
        """What the callback remembers between epochs, as plain data and arrays: a copy, which a snapshot keeps."""
        return None

    def resume(self, state: State, memory: Any) -> State:
        """In place of `train_begin`, in a training that continues a stopped one.

        Args:
            state: where the other stopped.
            memory: what `memory` returned there.
        """
        del memory
        return state

    def cut_off(self, state: State) -> State:
        """In place of `train_end`, after Ctrl-C or a non-finite loss; the state is the one that is kept."""
        return state

    def left(self, state: State) -> None:
        """After Ctrl-C within an epoch: the state after all steps that are done, of which some are not kept."""

    def failed(self, state: State) -> State:
        """After an error that ends training; the state is the one after the last finished epoch."""
        return state

    def stop_reason(self) -> str | None:
        """Why training should end now; None to continue."""
        return None


class StopCallback(Callback):
    """Stops training when one of a recipe's stop conditions holds."""

    def __init__(self, rule: StopRule) -> None:
        self._rule = rule
        self._reason: str | None = None

    def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
        """Gives the epoch's numbers to the rule, which counts the epochs without progress."""
        del epoch
        self._reason = self._rule.update(logs)
        return state

    def memory(self) -> Any:
        """What the rule has counted."""
        return self._rule.state()

    def resume(self, state: State, memory: Any) -> State:
        """Gives the rule its counts back."""
        self._rule.restore(memory)
        return state

    def stop_reason(self) -> str | None:
        """The conditions that hold, or None."""
        return self._reason


class StopRequest:
    """Whether training has been asked to stop, and how. It ends at its next good moment.

    Attributes:
        reason: how, in words; None while nobody has.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is not None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of signals: notes the first one, and raises KeyboardInterrupt on the second."""
        del frame
        if self:
            raise KeyboardInterrupt
        self.reason = "interrupted by Ctrl-C" if number == signal.SIGINT else "asked to end by SIGTERM"

    def agree(self) -> None:
        """Called between calls of the programs: where several processes train together, all stop at one step."""

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Within the context, SIGINT and SIGTERM are noted here; a second signal stops at once.

        Python lets only the main thread catch signals. In another thread, the request stays empty.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self.receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


Memory = dict[str, Any]

_PLAIN = (bool, int, float, str, type(None))
_SET_BY_KERAS = ("_model", "params")  # in every training


@dataclass(frozen=True)
class LastingCallbacks:
    """Callbacks with something to remember between epochs.

    Args:
        callbacks: the user's, and Keras's `History`.
    """

    callbacks: Sequence[keras.callbacks.Callback]

    def remembered(self) -> list[Memory]:
        """The memory of each callback: its class, its attributes that are plain data, and the names of the others."""
        return [_remembered(callback) for callback in self.callbacks]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Gives each callback its memory back; but `CSVLogger`, which has all of it in its file.

        Args:
            memories: what `remembered` returned for them.

        Raises:
            InputError: these are other callbacks.
        """
        names, stored = [type(one).__name__ for one in self.callbacks], [memory["name"] for memory in memories]
        if names != stored:
            raise InputError(
                f"The callbacks are {_listed(names)}, but the stopped training had {_listed(stored)}. Give the same "
                "ones, in the same order."
            )
        for callback, memory in zip(self.callbacks, memories, strict=True):
            if not _logs_to_file(callback):
                _choose_comparison(callback, memory["attributes"])
                vars(callback).update(_copied(memory["attributes"]))

    def continue_files(self) -> None:
        """Makes `CSVLogger` append to its file, where it would overwrite it."""
        for callback in filter(_logs_to_file, self.callbacks):
            callback.append = True

    @staticmethod
    def forgotten(memories: Sequence[Memory]) -> tuple[str, ...]:
        """Notes on what the callbacks cannot remember, because it is not plain data."""
        return tuple(
            f"{memory['name']} starts with a new {word_list(memory['others'])}: a checkpoint keeps numbers, texts, "
            "lists, dicts and arrays, but no other objects."
            for memory in memories
            if memory["others"]
        )


def _remembered(callback: keras.callbacks.Callback) -> Memory:
    attributes, others = {}, []
    for name, value in vars(callback).items():
        if name in _SET_BY_KERAS:
            continue
        try:
            attributes[name] = _copied(value)
        except TypeError:
            if not _is_setting(value) and not _logs_to_file(callback):
                others.append(name)
    return {"name": type(callback).__name__, "attributes": attributes, "others": others}


def _copied(value: Any) -> Any:
    """A copy of plain data, arrays on the host.

    Raises:
        TypeError: something in it is not plain data.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, np.generic | np.ndarray | jax.Array) and _is_numeric(value.dtype):
        return value if isinstance(value, np.generic) else np.array(value)
    if kind is dict and all(type(key) in _PLAIN for key in value):
        return {key: _copied(item) for key, item in value.items()}
    if kind in (list, tuple):
        return kind(_copied(item) for item in value)
    raise TypeError(kind.__name__)


def _choose_comparison(callback: keras.callbacks.Callback, attributes: dict[str, Any]) -> None:
    """Lets a callback that watches a number look up whether small or large is better, if it had done that before.

    It does so after the first epoch, and then turns the sign of `min_delta`, which must not happen a second time after
    its attributes are restored.
    """
    from keras.src.callbacks.monitor_callback import MonitorCallback  # Keras does not export it

    if isinstance(callback, MonitorCallback) and callback.monitor_op is None and "monitor_op" not in attributes:
        callback._set_monitor_op()


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


def _is_setting(value: Any) -> bool:
    """Whether this is a function or a part of the model, which a callback gets as an argument and need not remember."""
    import keras

    return callable(value) or isinstance(value, keras.Model | keras.Layer | keras.Variable | keras.optimizers.Optimizer)


def _logs_to_file(callback: keras.callbacks.Callback) -> bool:
    import keras

    return isinstance(callback, keras.callbacks.CSVLogger)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) or "none"  # but the last, which is Keras's own History
