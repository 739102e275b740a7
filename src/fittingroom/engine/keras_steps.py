"""What a Keras model does with one batch, as pure functions: Keras's own `train_step` and `test_step`, made stateless.

Training means what `model.fit` means because the steps are Keras's: losses added by layers, metrics, gradient clipping,
schedules, averaged weights and loss scaling are all its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import keras

from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.losses import LossFacts, OutputKind
from fittingroom.engine.state import State, Values


@dataclass(frozen=True)
class KerasSteps:
    """A Keras classifier with one input and one output, called as Keras's own training calls it.

    Args:
        model: built or not; `functions` and `outputs` need it built, `functions` compiled too.
    """

    model: keras.Model

    def functions(self) -> StepFunctions:
        """The pure step functions of the model."""
        kind, form = OutputKind.of(self.model), LossFacts.label_form(self.model)
        return StepFunctions(
            train_step=self._train_step,
            test_step=self._test_step,
            forward=lambda state, images: self.outputs(state.trainable, state.non_trainable, images),
            log_probabilities=lambda outputs: kind.log_probabilities(outputs.astype(jnp.float32)),
            true_class=form.indices,
            fresh_metrics=self._fresh_metrics,
            results=self._results,
            own_logs=self._has_own_logs,
            fixed_batch=self.fixed_batch,
            keeps_metrics=self._keeps_metrics(),
        )

    def fitted(self, images: Any) -> Any:
        """The images with the axis of a single channel added or dropped, where the input says so, as in Keras."""
        inputs = getattr(self.model, "inputs", None)  # in a subclass, may be a layer that the user calls so
        expected = inputs[0].shape if inputs and isinstance(inputs, list | tuple) else images.shape
        if len(expected) == images.ndim + 1 and expected[-1] == 1:
            return images[..., None]
        if len(expected) == images.ndim - 1 and images.shape[-1] == 1:
            return images[..., 0]
        return images

    def outputs(self, trainable: Values, non_trainable: Values, images: Any) -> Any:
        """What the model gives for images in evaluation, with these values in place of its own weights."""
        outputs, _ = self.model.stateless_call(
            list(trainable), list(non_trainable), self.fitted(images), **self._evaluating
        )
        return _only(outputs)

    def symbolic_output(self, images: Any) -> Any:
        """What the model gives for images of this shape and type: a tensor without values. Builds the layers."""
        images = self.fitted(images)
        batch = (self.fixed_batch or len(images), *images.shape[1:])
        return _only(self.model(keras.KerasTensor(batch, dtype=images.dtype.name), **self._evaluating))

    @property
    def fixed_batch(self) -> int | None:
        """How many images the model takes at once, where it takes no other number (a stateful RNN); else None."""
        inputs = getattr(self.model, "inputs", None)  # as above
        shape = getattr(inputs[0], "shape", None) if isinstance(inputs, list | tuple) and inputs else None
        size = shape[0] if shape else None
        return None if size is None else int(size)

    def overrides(self, method: str) -> bool:
        """Whether the model, or its class, overrides one of `keras.Model`'s methods."""
        return getattr(getattr(self.model, method), "__func__", None) is not getattr(keras.Model, method)

    @property
    def _evaluating(self) -> dict[str, Any]:
        # A user's own `call` need not take `training`.
        return {"training": False} if self.model._call_has_training_arg else {}

    @property
    def _has_own_logs(self) -> bool:
        """Whether the logs of a batch may differ from the results of the metrics."""
        return self.overrides("compute_metrics") or self.overrides("test_step")

    def _train_step(self, state: State, examples: Examples) -> tuple[State, Logs]:
        batch = examples._replace(images=self.fitted(examples.images))
        logs, new = self.model.train_step(tuple(list(group) for group in state), tuple(batch))
        after = State(*(tuple(group) for group in new))
        return after, self._own_logs(logs, after.metrics)

    def _test_step(self, state: State, examples: Examples) -> tuple[State, Logs]:
        groups = (list(state.trainable), list(state.non_trainable), list(state.metrics))
        batch = tuple(examples._replace(images=self.fitted(examples.images)))
        logs, (_, non_trainable, metrics) = self.model.test_step(groups, batch)
        after = state._replace(non_trainable=tuple(non_trainable), metrics=tuple(metrics))
        return after, self._own_logs(logs, after.metrics)

    def _own_logs(self, logs: Any, metrics: Values) -> Logs:
        """The logs of a batch, if they are the model's own: then their names are not those of the metrics."""
        if not self._has_own_logs or set(logs) == set(self._results(metrics)):
            return {}
        return {name: jnp.asarray(value) for name, value in logs.items()}

    def _fresh_metrics(self, metrics: Values) -> Values:
        """The values of the metrics after Keras's `reset_metrics`, from these or else from the model's own."""
        variables = self.model.metrics_variables
        before = metrics or State.values_of(variables)
        with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))) as scope:
            self.model.reset_metrics()
        return tuple(jnp.asarray(scope.get_current_value(variable), variable.dtype) for variable in variables)

    def _keeps_metrics(self) -> bool:
        """Whether a user's own metric keeps something when it is reset, so that it depends on what came before."""
        metrics = [part for metric in self.model.metrics for part in (metric, *getattr(metric, "metrics", ()))]
        keras_own = all(type(metric).reset_state.__module__.startswith("keras.") for metric in metrics)
        if keras_own and not self.overrides("reset_metrics"):
            return False
        # Two resets from different values tell: what a reset leaves alone differs afterwards too.
        values = State.values_of(self.model.metrics_variables)
        zeros, ones = tuple(map(jnp.zeros_like, values)), tuple(map(jnp.ones_like, values))
        pairs = zip(self._fresh_metrics(zeros), self._fresh_metrics(ones), strict=True)
        return any(bool(jnp.any(first != second)) for first, second in pairs)

    def _results(self, metrics: Values) -> Logs:
        with keras.StatelessScope(state_mapping=list(zip(self.model.metrics_variables, metrics, strict=True))):
            results: dict[str, Any] = self.model.get_metrics_result()
        flat: Logs = {}
        for name, value in results.items():
            flat |= value if isinstance(value, dict) else {name: value}
        return flat


def _only(output: Any) -> Any:
    """The only output of a model, taken out of the list or the dict that it was made with: `Model([i], [o])`."""
    if isinstance(output, list | tuple | dict) and len(output) == 1:
        return next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output
