"""What a Keras model does with one batch, as pure functions: Keras's own `train_step` and `test_step`, made stateless.

Training means what `model.fit` means because the steps are Keras's: losses added by layers, metrics, gradient clipping,
schedules, averaged weights and loss scaling are all its own.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import keras

from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.losses import class_log_probabilities, label_form, output_kind
from fittingroom.engine.state import State, Values, values_of


def step_functions(model: keras.Model) -> StepFunctions:
    """The pure step functions of a built, compiled, single-input and single-output Keras classifier."""
    kind, form = output_kind(model), label_form(model)
    return StepFunctions(
        train_step=lambda state, examples: _train_step(model, state, examples),
        test_step=lambda state, examples: _test_step(model, state, examples),
        forward=lambda state, images: only(
            model.stateless_call(
                list(state.trainable), list(state.non_trainable), fitted(model, images), **evaluating(model)
            )[0]
        ),
        log_probabilities=lambda outputs: class_log_probabilities(outputs.astype(jnp.float32), kind),
        true_class=form.indices,
        fresh_metrics=lambda metrics: _fresh_metrics(model, metrics),
        results=lambda metrics: _results(model, metrics),
        own_logs=_has_own_logs(model),
        fixed_batch=fixed_batch(model),
        keeps_metrics=_keeps_metrics(model),
    )


def fitted(model: keras.Model, images: Any) -> Any:
    """The images with the axis of a single channel added or dropped, where the model's input says so, as Keras does."""
    inputs = getattr(model, "inputs", None)  # in a subclass, may be a layer that the user calls so
    expected = inputs[0].shape if inputs and isinstance(inputs, list | tuple) else images.shape
    if len(expected) == images.ndim + 1 and expected[-1] == 1:
        return images[..., None]
    if len(expected) == images.ndim - 1 and images.shape[-1] == 1:
        return images[..., 0]
    return images


def only(output: Any) -> Any:
    """The only output of a model, taken out of the list or the dict that it was made with: `Model([i], [o])`."""
    if isinstance(output, list | tuple | dict) and len(output) == 1:
        return next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output


def fixed_batch(model: keras.Model) -> int | None:
    """How many images a model takes at once, where it takes no other number (a stateful RNN); else None."""
    inputs = getattr(model, "inputs", None)  # as above
    shape = getattr(inputs[0], "shape", None) if isinstance(inputs, list | tuple) and inputs else None
    size = shape[0] if shape else None
    return None if size is None else int(size)


def evaluating(model: keras.Model) -> dict[str, Any]:
    """`training=False` as keyword arguments for a model's `call`, where that takes it: a user's own need not."""
    return {"training": False} if model._call_has_training_arg else {}


def overrides(model: keras.Model, method: str) -> bool:
    """Whether the model, or its class, overrides one of `keras.Model`'s methods."""
    return getattr(getattr(model, method), "__func__", None) is not getattr(keras.Model, method)


def _has_own_logs(model: keras.Model) -> bool:
    """Whether the logs of a batch may differ from the results of the metrics."""
    return overrides(model, "compute_metrics") or overrides(model, "test_step")


def _train_step(model: keras.Model, state: State, examples: Examples) -> tuple[State, Logs]:
    batch = examples._replace(images=fitted(model, examples.images))
    logs, new = model.train_step(tuple(list(group) for group in state), tuple(batch))
    after = State(*(tuple(group) for group in new))
    return after, _own_logs(model, logs, after.metrics)


def _test_step(model: keras.Model, state: State, examples: Examples) -> tuple[State, Logs]:
    groups = (list(state.trainable), list(state.non_trainable), list(state.metrics))
    batch = tuple(examples._replace(images=fitted(model, examples.images)))
    logs, (_, non_trainable, metrics) = model.test_step(groups, batch)
    after = state._replace(non_trainable=tuple(non_trainable), metrics=tuple(metrics))
    return after, _own_logs(model, logs, after.metrics)


def _own_logs(model: keras.Model, logs: Any, metrics: Values) -> Logs:
    """The logs of a batch, if they are the model's own: then their names are not those of the metrics, as in Keras."""
    if not _has_own_logs(model) or set(logs) == set(_results(model, metrics)):
        return {}
    return {name: jnp.asarray(value) for name, value in logs.items()}


def _fresh_metrics(model: keras.Model, metrics: Values) -> Values:
    """The values of the metrics after Keras's `reset_metrics`, from these or else from the model's own."""
    variables = model.metrics_variables
    before = metrics or values_of(variables)
    with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))) as scope:
        model.reset_metrics()
    return tuple(jnp.asarray(scope.get_current_value(variable), variable.dtype) for variable in variables)


def _keeps_metrics(model: keras.Model) -> bool:
    """Whether a user's own metric keeps something when it is reset, so that it depends on what came before."""
    metrics = [part for metric in model.metrics for part in (metric, *getattr(metric, "metrics", ()))]
    keras_own = all(type(metric).reset_state.__module__.startswith("keras.") for metric in metrics)
    if keras_own and not overrides(model, "reset_metrics"):
        return False
    values = values_of(model.metrics_variables)
    zeros, ones = tuple(map(jnp.zeros_like, values)), tuple(map(jnp.ones_like, values))
    pairs = zip(_fresh_metrics(model, zeros), _fresh_metrics(model, ones), strict=True)
    return any(bool(jnp.any(first != second)) for first, second in pairs)


def _results(model: keras.Model, metrics: Values) -> Logs:
    with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, metrics, strict=True))):
        results: dict[str, Any] = model.get_metrics_result()
    flat: Logs = {}
    for name, value in results.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
