"""What Keras callbacks remember between epochs (patience, the best value so far, restored weights), as plain data.

Callbacks have no way of their own to save that. What they know lies in their attributes, and those of Keras are
numbers, texts and arrays: these are kept, whatever the callback. Nothing is pickled: a checkpoint can hold no code.

Whether Keras callbacks can do what they are for, said before training where Keras says it after the first epoch.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from fittingroom.errors import InputError

if TYPE_CHECKING:
    import keras

Memory = dict[str, Any]

_PLAIN = (bool, int, float, str, type(None))
_NOT_OURS = ("_model", "params")  # Keras sets these anew in every training


def remembered(callbacks: Sequence[keras.callbacks.Callback]) -> list[Memory]:
    """What each callback remembers: its class, its attributes that are plain data, and the names of the others."""
    return [_remembered(callback) for callback in callbacks]


def recall(callbacks: Sequence[keras.callbacks.Callback], memories: Sequence[Memory]) -> None:
    """Gives each callback back what it remembered. `CSVLogger` goes on with its file, which tells it all.

    Args:
        callbacks: the user's, and Keras's `History`.
        memories: what `remembered` gave for them.

    Raises:
        InputError: these are other callbacks.
    """
    names, stored = [type(callback).__name__ for callback in callbacks], [memory["name"] for memory in memories]
    if names != stored:
        raise InputError(
            f"the callbacks are {_listed(names)}, and those of the stopped training were {_listed(stored)}. Give the "
            "same ones, in the same order."
        )
    for callback, memory in zip(callbacks, memories, strict=True):
        if not _logs_to_file(callback):
            _choose_comparison(callback, memory["attributes"])
            vars(callback).update(_copied(memory["attributes"]))


def continue_files(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Makes `CSVLogger` go on with its file, not begin it anew."""
    for callback in filter(_logs_to_file, callbacks):
        callback.append = True


def forgotten(memories: Sequence[Memory]) -> tuple[str, ...]:
    """What the callbacks had besides plain data, as sentences; it starts afresh in a training that goes on."""
    return tuple(
        f"{memory['name']} keeps {', '.join(memory['others'])} as an object that a checkpoint does not hold, so that "
        "starts afresh; a number, a text, a list, a dict or an array would have been kept."
        for memory in memories
        if memory["others"]
    )


def _remembered(callback: keras.callbacks.Callback) -> Memory:
    attributes, others = {}, []
    for name, value in vars(callback).items():
        if name in _NOT_OURS:
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
    """Makes Keras's callbacks that watch a number know whether small or large is good, if they knew it before.

    They find out after the first epoch and then turn the sign of `min_delta`, which must not happen twice.
    """
    from keras.src.callbacks.monitor_callback import MonitorCallback  # Keras does not export it

    if isinstance(callback, MonitorCallback) and callback.monitor_op is None and "monitor_op" not in attributes:
        callback._set_monitor_op()


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


def _is_setting(value: Any) -> bool:
    """Whether this is a function or a part of the model, which the callback is given rather than remembers."""
    import keras

    return callable(value) or isinstance(value, keras.Model | keras.Layer | keras.Variable | keras.optimizers.Optimizer)


def _logs_to_file(callback: keras.callbacks.Callback) -> bool:
    import keras

    return isinstance(callback, keras.callbacks.CSVLogger)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) or "none"  # the last is Keras's own History


def without_its_package(error: ImportError, callbacks: Sequence[keras.callbacks.Callback]) -> InputError:
    """The error that says which package one of Keras's own callbacks lacks."""
    names = ", ".join(type(callback).__name__ for callback in callbacks)
    package = f"the package {error.name}" if error.name else "a package"
    return InputError(
        f"The callbacks ({names}) need {package}, which is not installed: {error}. Install it, or leave the callback "
        "out: the numbers of each epoch are in the run's folder and on the page of run.report()."
    )


def check_monitors(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Asks callbacks that watch a number whether they know what is better, small or large.

    Keras finds that out after the first epoch, from the names of the model's metrics.

    Args:
        callbacks: with their built model.

    Raises:
        InputError: the model has no metric of this name, and `mode` does not say it either.
    """
    from keras.src.callbacks.monitor_callback import MonitorCallback  # Keras does not export it

    for callback in callbacks:
        if not isinstance(callback, MonitorCallback) or callback.monitor_op is not None:
            continue
        try:
            copy.copy(callback)._set_monitor_op()
        except ValueError as error:
            names = _metric_names(callback.model)
            near = difflib.get_close_matches(callback.monitor, names, n=1, cutoff=0.5)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"{type(callback).__name__} watches {callback.monitor!r}, and the model has no metric of that name: it "
                f"has {', '.join(names)}.{meant} For a number that something else adds to the logs, give mode='min' or "
                "'max'."
            ) from error


def _metric_names(model: keras.Model) -> list[str]:
    names = ["loss"]
    for metric in model.metrics:
        names += [part.name for part in getattr(metric, "metrics", (metric,)) if part.name not in names]
    return [*names, *(f"val_{name}" for name in names)]
