"""What Keras callbacks remember between epochs (patience, the best value so far, restored weights), as plain data.

Keras's callbacks cannot be saved. What they remember is in their attributes, and those of Keras's own are numbers,
texts and arrays: these are kept, whatever the callback. Nothing is pickled, so a checkpoint can hold no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from fittingroom.errors import InputError
from fittingroom.text import word_list

if TYPE_CHECKING:
    import keras

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
