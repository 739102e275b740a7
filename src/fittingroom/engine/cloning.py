"""A model once more for another seed: the same structure and settings, weights drawn anew, an optimizer of its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import keras

from fittingroom.errors import InputError, ModelError

# They write to a path that they were given, and replicas would overwrite each other's files.
_WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


def drawn_anew(model: keras.Model, seed: int) -> keras.Model:
    """A copy of a model for the replica with this seed. A compiled model's copy is compiled in the same way.

    Weights come from the model's own initializers; those with a seed of their own draw the same for every replica.

    Raises:
        ModelError: Keras cannot make the model once more.
    """
    keras.utils.set_random_seed(seed)
    try:
        clone = _uncompiled(model)
        if model.compiled:
            clone.compile(**_compile_arguments(model))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"Keras cannot make {type(model).__name__} once more for another seed: "
            f"{' '.join(str(error).partition('Example:')[0].split())} Or train seed by seed: for seed in range(5): "
            "keras.utils.set_random_seed(seed); fit(make_model(), seed=seed)."
        ) from error
    return clone


def _uncompiled(model: keras.Model) -> keras.Model:
    """Keras would copy the settings of `compile` by their names, and does not find a user's own functions by theirs."""
    compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model)
    finally:
        model.compiled = compiled


def copied(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[keras.callbacks.Callback, ...]:
    """The callbacks for one replica, with a state of their own.

    Raises:
        InputError: one cannot be copied, or writes to a file that all replicas would share.
    """
    for callback in callbacks:
        if isinstance(callback, _WRITERS):
            raise InputError(
                f"The callback {type(callback).__name__} writes to one place, and with seeds each replica would write "
                "there. Leave it out (the run's folder keeps every replica), or train seed by seed."
            )
    try:
        return tuple(copy.deepcopy(callback) for callback in callbacks)
    except Exception as error:  # whatever a user's own object may raise
        raise InputError(
            f"With seeds, each replica needs callbacks of its own, and these cannot be copied: {error}. Keep open "
            "files and the like out of them, or train seed by seed."
        ) from error


def _compile_arguments(model: keras.Model) -> dict[str, Any]:
    """What `model.compile` was given; what has variables, optimizer and metrics, as fresh copies."""
    arguments = dict(model._compile_config.config)
    arguments["optimizer"] = type(model.optimizer).from_config(model.optimizer.get_config())
    for name in ("metrics", "weighted_metrics"):
        arguments[name] = keras.tree.map_structure(_fresh_metric, arguments.get(name))
    return arguments


def _fresh_metric(metric: Any) -> Any:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric
