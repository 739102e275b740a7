"""What a Keras model does with one batch, as pure functions: Keras's own `train_step` and `test_step`, made stateless.

Using Keras's steps, not steps of our own, is what makes training here mean what `model.fit` means: losses added by
layers, metrics, gradient clipping, schedules, averaged weights and loss scaling are all Keras's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import keras

from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State, Values, values_of

if TYPE_CHECKING:
    OutputKind = Literal["probabilities", "logits"]


def step_functions(model: keras.Model) -> StepFunctions:
    """The pure step functions of a built, compiled, single-input and single-output Keras classifier."""
    kind = output_kind(model)
    return StepFunctions(
        train_step=lambda state, examples: _train_step(model, state, examples),
        test_step=lambda state, examples: _test_step(model, state, examples),
        forward=lambda state, images: model.stateless_call(
            list(state.trainable), list(state.non_trainable), fitted(model, images), **evaluating(model)
        )[0],
        log_probabilities=lambda outputs: class_log_probabilities(outputs.astype(jnp.float32), kind),
        true_class=class_indices,
        fresh_metrics=lambda metrics: _fresh_metrics(model, metrics),
        results=lambda metrics: _results(model, metrics),
        own_logs=has_own_logs(model),
        keeps_metrics=_keeps_metrics(model),
    )


def fitted(model: keras.Model, images: Any) -> Any:
    """The images with the axis of a single channel added or dropped, where the model's input says so, as Keras does."""
    inputs = getattr(model, "inputs", None)  # may be a layer of that name, in a subclass
    expected = inputs[0].shape if inputs and isinstance(inputs, list | tuple) else images.shape
    if len(expected) == images.ndim + 1 and expected[-1] == 1:
        return images[..., None]
    if len(expected) == images.ndim - 1 and images.shape[-1] == 1:
        return images[..., 0]
    return images


def evaluating(model: keras.Model) -> dict[str, Any]:
    """`training=False` as arguments of a call, where the `call` of the user's own class takes it, as Keras does."""
    return {"training": False} if model._call_has_training_arg else {}


def overrides(model: keras.Model, method: str) -> bool:
    """Whether the user's class, or the model itself, has a method of its own in the place of Keras's."""
    return getattr(getattr(model, method), "__func__", None) is not getattr(keras.Model, method)


def has_own_logs(model: keras.Model) -> bool:
    """Whether the numbers of a batch may be others than those of the metrics."""
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
    """The logs of a batch, if they are the model's own; as in Keras, their names are then not those of the metrics."""
    if not has_own_logs(model) or set(logs) == set(_results(model, metrics)):
        return {}
    return {name: jnp.asarray(value) for name, value in logs.items()}


def _fresh_metrics(model: keras.Model, metrics: Values) -> Values:
    """What Keras's `reset_metrics` makes of these values, or of the model's own where none are given."""
    variables = model.metrics_variables
    before = metrics or values_of(variables)
    with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))) as scope:
        model.reset_metrics()
    return tuple(jnp.asarray(scope.get_current_value(variable), variable.dtype) for variable in variables)


def _keeps_metrics(model: keras.Model) -> bool:
    """Whether a metric of the user's own keeps something when it is reset: then it depends on what came before."""
    metrics = [part for metric in model.metrics for part in (metric, *getattr(metric, "metrics", ()))]
    keras_own = all(type(metric).reset_state.__module__.startswith("keras.") for metric in metrics)
    if keras_own and not overrides(model, "reset_metrics"):
        return False
    zeros = tuple(jnp.zeros_like(variable.value) for variable in model.metrics_variables)
    ones = tuple(jnp.ones_like(variable.value) for variable in model.metrics_variables)
    pairs = zip(_fresh_metrics(model, zeros), _fresh_metrics(model, ones), strict=True)
    return any(bool(jnp.any(first != second)) for first, second in pairs)


def _results(model: keras.Model, metrics: Values) -> Logs:
    with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, metrics, strict=True))):
        results: dict[str, Any] = model.get_metrics_result()
    flat: Logs = {}
    for name, value in results.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def compiled_loss(model: keras.Model) -> Any:
    """The loss that the model is compiled with, as Keras resolves it; None where there is none.

    Keras takes the one loss of a model with one output in a list or a dictionary too.
    """
    loss = model.loss
    if isinstance(loss, dict | list | tuple):
        loss = next(iter(loss.values() if isinstance(loss, dict) else loss), None)
    return None if loss is None else keras.losses.get(loss)


def output_kind(model: keras.Model) -> OutputKind:
    """Whether the model's outputs are probabilities or logits.

    The compiled loss knows when it is one of Keras's; otherwise the activation of the last layer tells.
    """
    loss = compiled_loss(model)
    settings = getattr(loss, "_fn_kwargs", {})
    from_logits = getattr(loss, "from_logits", settings.get("from_logits"))
    if from_logits is None:
        from_logits = last_activation(model) not in ("softmax", "sigmoid")
    return "logits" if from_logits else "probabilities"


def last_activation(model: keras.Model) -> str:
    """The name of the last layer's activation, or an empty string where it has none."""
    layers = getattr(model, "layers", [])
    if not layers:
        return ""
    last = layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(last, "activation", None), "__name__", "")


# Keras's bound: a probability of zero costs -ln(1e-7) = 16.1 nats, not infinity, so that means stay finite and agree.
SMALLEST_PROBABILITY = 1e-7


def class_log_probabilities(outputs: jax.Array, kind: OutputKind) -> jax.Array:
    """Logarithms of probabilities `(batch, classes)` from outputs `(batch, classes)`, or `(batch, 1)` for two classes.

    Those of logits are exact; probabilities are clipped from below, as in Keras's loss.
    """
    if kind == "logits":
        if outputs.shape[-1] == 1:
            return jax.nn.log_sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))
        return jax.nn.log_softmax(outputs, axis=-1)
    if outputs.shape[-1] == 1:
        outputs = jnp.concatenate([1 - outputs, outputs], axis=-1)
    return jnp.log(jnp.clip(outputs, SMALLEST_PROBABILITY, 1.0))


def class_indices(labels: jax.Array) -> jax.Array:
    """Class indices int32 `(batch,)` from labels `(batch,)`, `(batch, 1)`, or one-hot `(batch, classes)`."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        return jnp.argmax(labels, axis=1).astype(jnp.int32)
    return labels.reshape(labels.shape[0]).astype(jnp.int32)
