"""Whether Keras callbacks can do what they are for, said before training where Keras says it after the first epoch."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fittingroom.errors import InputError

if TYPE_CHECKING:
    import keras


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
