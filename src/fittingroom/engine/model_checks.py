"""Whether a Keras model fits the data, said before training: most mistakes train silently or fail obscurely."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np

from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.losses import CLASSWISE, OUTPUTWISE, LossFacts
from fittingroom.engine.state import State
from fittingroom.errors import LabelRangeError, ModelError
from fittingroom.recipes.last_activation import crossentropy_for

Array = np.ndarray[Any, Any]

ASKS_FOR_A_VALUE = (
    "The loss, a metric or a layer needs the value of a tensor, for NumPy, float() or Python's if, but JAX compiles "
    "them without values. Use keras.ops in place of NumPy, and keras.ops.where in place of if."
)


@dataclass(frozen=True)
class ModelChecks:
    """A user's Keras model made ready for training on data like these, or refused with the reason.

    Args:
        model: what the user calls a model.
    """

    model: keras.Model

    def require_classifier(self) -> None:
        """Raises ModelError unless this is a Keras model with one input and one output."""
        model: Any = self.model
        if isinstance(model, type) and issubclass(model, keras.Model):
            raise ModelError(
                f"The model {model.__name__} is a class; expected an instance of it: {model.__name__}(...)."
            )
        if not isinstance(model, keras.Model):
            raise ModelError(
                f"The model is a {type(model).__name__}; expected a keras.Model, such as keras.Sequential."
            )
        _require_one_input_and_output(model)

    def compile_if_needed(self, images: Array) -> None:
        """Compiles a model that the user has not compiled: Adam, the cross-entropy for its kind of output, accuracy.

        Args:
            images: some of training, as the model gets them.

        Raises:
            ModelError: it does not take images like these.
        """
        if not self.model.compiled:
            self.build_layers(images)
            self.model.compile(optimizer="adam", loss=crossentropy_for(self.model), metrics=["accuracy"])

    def build_layers(self, images: Array) -> None:
        """Builds the layers of the model, compiled or not, for images like these.

        Raises:
            ModelError: it does not take them.
        """
        _output_shape(self.model, images)

    def build(self, images: Array, labels: Array, weights: Array | None, classes: int) -> int:
        """Builds a compiled model for batches like this one, after checking that it can classify them.

        Args:
            images: a batch, `(n, ...)`, in the type that the model will be given.
            labels: of the batch, `(n,)`, `(n, 1)`, or one-hot `(n, classes)`.
            weights: in the loss, `(n,)`, or None.
            classes: how many classes the labels name.

        Returns:
            How many outputs the model has: one per class, or one for two classes.

        Raises:
            ModelError: the model does not fit the data, or is of a kind that the engine does not train.
        """
        _refuse_unsupported(self.model)
        images = KerasSteps(self.model).fitted(images)
        outputs = _output_shape(self.model, images)
        _check_outputs(outputs, classes, LossFacts.of(self.model, outputs[-1] if outputs else None))
        _check_loss(self.model, labels, outputs)
        try:
            self.model._symbolic_build(data_batch=(images, labels, weights))
        except (ValueError, TypeError, RuntimeError) as error:
            raise ModelError(_unbuilt(error, labels)) from error
        _require_its_optimizer(self.model)
        return outputs[0]

    def logged_names(self, batch: Examples, *, validation: bool) -> tuple[str, ...]:
        """The names of the numbers in each epoch's row of the history.

        Args:
            batch: like those of training.
            validation: whether there will be validation.

        Raises:
            ModelError: a metric gives several numbers, or the model's own logs lack the loss.
        """
        steps = KerasSteps(self.model).functions()
        results = jax.eval_shape(lambda: steps.results(steps.fresh_metrics(())))
        trained = validated = dict(results)
        if steps.own_logs:
            state = State.of(self.model)
            trained = jax.eval_shape(steps.train_step, state, batch)[1] or trained
            validated = jax.eval_shape(steps.test_step, state, batch)[1] or validated
        _require_loss(self.model, trained)
        if validation:
            _require_loss(self.model, validated)
        for name, result in {**trained, **validated}.items():
            if result.shape != ():
                raise ModelError(
                    f"The metric {name} gives an array of shape {result.shape}, but a history has one number per "
                    "epoch. Let the metric average, such as keras.metrics.F1Score(average='macro')."
                )
        return (*trained, *(f"val_{name}" for name in validated if validation))

    def notes(self) -> tuple[str, ...]:
        """What the user should know of how a built model is compiled."""
        said = []
        if not self.model.trainable_variables:
            said.append("No weight of the model is trainable (layer.trainable is False), so training changes nothing.")
        asking = [layer for layer in self.model._flatten_layers() if not getattr(layer, "supports_jit", True)]
        if self.model.jit_compile or (asking and all(type(layer).__module__.startswith("keras.") for layer in asking)):
            return tuple(said)  # Keras's own augmentation asks for it, and is the same when compiled
        return (
            *said,
            "The model is compiled with jit_compile=False, or one of its layers requires that, but Fitting Room "
            "compiles every model: Python code in its layers, loss and metrics runs once, when it is traced, not at "
            "each step.",
        )


def _unbuilt(error: Exception, labels: Array) -> str:
    """The message where Keras has built the layers of a model, but cannot build its loss or its metrics."""
    said = str(error)
    if "Could not interpret metric" in said:
        return (
            f"{_words(error)}. Give a metric from keras.metrics, such as 'accuracy', or a function with the arguments "
            "(y_true, y_pred)."
        )
    if _asks_for_a_value(error):
        return ASKS_FOR_A_VALUE
    if "__jax_array__" in said:
        return (
            "A metric or a layer returns a variable where its value is expected. Return "
            "keras.ops.convert_to_tensor(variable) or variable.value."
        )
    if "Exception encountered when calling" in said:
        return f"Keras cannot run the model on these images: {_words(error)}."
    if labels.ndim == 2 and labels.shape[1] > 1:
        return (
            f"Keras cannot build the model's loss and metrics for these labels: {_words(error)}. A metric for class "
            "numbers, such as SparseCategoricalAccuracy, does not take one-hot labels; 'accuracy' takes both."
        )
    return (
        f"Keras cannot build the model's loss and metrics for these labels: {_words(error)}. A metric that compares "
        "each output with its label, such as Precision, expects one-hot labels: keras.utils.to_categorical(y), with "
        "the loss categorical_crossentropy. For the share of right answers, use metrics=['accuracy']."
    )


def _require_loss(model: keras.Model, logs: Mapping[str, Any]) -> None:
    """Raises ModelError where a model's own logs have no loss, by which training sees whether it diverges."""
    if "loss" not in logs:
        own = [
            name for name in ("test_step", "compute_metrics", "get_metrics_result") if KerasSteps(model).overrides(name)
        ]
        method = own[0] if own else "compute_metrics"
        raise ModelError(
            f"The logs of {type(model).__name__} ({', '.join(logs) or 'none'}) have no 'loss', by which Fitting Room "
            f"sees whether training diverges. In {method}, start from Keras's own logs (logs = super().{method}(...)) "
            "and add to them, or train this model with model.fit."
        )


def _refuse_unsupported(model: keras.Model) -> None:
    if type(model).train_step is not keras.Model.train_step:
        raise ModelError(
            f"{type(model).__name__} overrides train_step, but Fitting Room compiles Keras's own step. Train this "
            "model with model.fit, or move what its step adds into layers (add_loss), a loss or a metric."
        )
    for method in ("fit", "evaluate", "make_train_function", "make_test_function"):
        if KerasSteps(model).overrides(method):
            raise ModelError(
                f"{type(model).__name__} overrides {method}, which Keras calls in training but Fitting Room does not. "
                "Train this model with model.fit, or move what it adds into a callback, a metric or compute_metrics."
            )
    if model.run_eagerly:
        raise ModelError(
            "The model is compiled with run_eagerly=True, but Fitting Room compiles whole epochs. Compile it without "
            "run_eagerly, or debug it with model.fit."
        )
    own_loss = type(model).compute_loss is not keras.Model.compute_loss
    if model.optimizer is None or (LossFacts.compiled(model) is None and not own_loss):
        raise ModelError("The model is compiled without a loss or an optimizer. Give both to model.compile.")
    _require_one_input_and_output(model)


def _require_one_input_and_output(model: keras.Model) -> None:
    """Raises ModelError where a model has several inputs or outputs; a subclassed one shows that only when called."""
    for kind, tensors in (("inputs", getattr(model, "inputs", None)), ("outputs", getattr(model, "outputs", None))):
        if isinstance(tensors, list | tuple) and len(tensors) != 1:  # else a layer that the user calls so
            raise ModelError(
                f"The model has {len(tensors)} {kind}. Fitting Room trains classifiers with one input (an image) and "
                "one output (its class). Train this model with model.fit."
            )


def _require_its_optimizer(model: keras.Model) -> None:
    """Raises ModelError where layers were frozen or unfrozen since the optimizer was made, which Keras refuses too."""
    # With loss scaling, Keras wraps the optimizer that has the variables.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    made_for, now = len(getattr(optimizer, "_trainable_variables", ())), len(model.trainable_variables)
    if optimizer.built and made_for != now:
        raise ModelError(
            f"Layers were frozen or unfrozen after compile: the model has {now} trainable variables, but its optimizer "
            f"was made for {made_for}. Compile the model again, with a new optimizer, as Keras requires too."
        )


def _output_shape(model: keras.Model, images: Array) -> tuple[int, ...]:
    """The shape of one image's output."""
    shape = images.shape[1:]
    try:
        output = KerasSteps(model).symbolic_output(images)
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"The model does not take images of shape {shape}: {_words(error)}. Make keras.Input({shape}) its first "
            "layer."
        ) from error
    if not hasattr(output, "shape"):
        raise ModelError(
            f"The model's output is a {type(output).__name__}, not one tensor. Fitting Room trains classifiers with "
            "one output. Train this model with model.fit."
        )
    return tuple(output.shape[1:])


def _asks_for_a_value(error: BaseException | None) -> bool:
    """Whether Python code asked for the value of a traced tensor, of JAX or of Keras."""
    while error is not None:
        # "_error_repr" is what JAX says of Keras's tensors.
        if isinstance(error, jax.errors.JAXTypeError) or "_error_repr" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    """Keras's message without the first line, the colours and the arguments that it puts around it."""
    text = re.sub(r"\x1b\[\d+m", "", str(error).partition("Arguments received by")[0])
    return " ".join(re.sub(r"^Exception encountered when calling .*\n", "", text).split()).rstrip(".")


def _check_outputs(outputs: tuple[int, ...], classes: int, loss: LossFacts) -> None:
    if loss.function in ("circle", "ctc"):
        what = "an embedding" if loss.function == "circle" else "sequences"
        raise ModelError(
            f"The loss {loss.name} trains {what}, so the outputs are not classes. Fitting Room trains classifiers. "
            "Train this model with model.fit."
        )
    if len(outputs) != 1:
        raise ModelError(
            f"The model's output for an image has the shape {outputs}; a classifier's has one number per class, "
            f"({classes},). Dense layers work on the last axis only, so add keras.layers.Flatten() after the input."
        )
    (count,) = outputs
    if count >= classes or (count == 1 and classes <= 2):
        return
    if count == 1 and loss.is_regression:
        mend = (
            f" If the numbers are classes: Dense({classes}, activation='softmax') and "
            "loss='sparse_categorical_crossentropy'."
            if classes <= 100
            else ""
        )
        raise ModelError(
            f"The model has one output, its loss is {loss.name}, and the labels are numbers up to {classes - 1}. This "
            f"looks like regression. Fitting Room trains classifiers. Train this model with model.fit.{mend}"
        )
    sparse = loss.function == "sparse_categorical_crossentropy"
    silently = (
        "Keras on JAX would train on this silently, with a loss that looks good and means nothing. " if sparse else ""
    )
    raise (LabelRangeError if sparse else ModelError)(
        f"The model has {count} output{'s' * (count > 1)}, but the labels name {classes} classes (0 to {classes - 1}). "
        f"{silently}Give the last layer {classes} outputs: Dense({classes})."
    )


def _check_loss(model: keras.Model, labels: Array, outputs: tuple[int, ...]) -> None:
    loss = LossFacts.of(model, outputs[0])
    name, one_hot = loss.name, labels.ndim == 2 and labels.shape[1] > 1
    if outputs[0] == 1 and loss.function in CLASSWISE:
        raise ModelError(
            f"The model has one output, and with the loss {name} it would learn nothing: the probability of its only "
            "class is always 1. Compile it with binary_crossentropy, or give the last layer 2 outputs."
        )
    chosen_by_labels = isinstance(LossFacts.compiled(model), str)
    sparse = loss.function == "sparse_categorical_crossentropy"
    if loss.function and not (sparse or one_hot or outputs[0] == 1):
        why = "" if loss.function in (*CLASSWISE, *OUTPUTWISE) else ": it would compare each output with the number"
        raise ModelError(
            f"The loss {name} expects one-hot labels, but these are class numbers, one for each image{why}. Use "
            "sparse_categorical_crossentropy, or keras.utils.to_categorical(labels)."
        )
    if sparse and one_hot and not chosen_by_labels:
        raise ModelError(
            f"The loss sparse_categorical_crossentropy expects class numbers, but the labels have the shape "
            f"{labels.shape}. Use categorical_crossentropy, or labels.argmax(axis=1)."
        )
    if one_hot and labels.shape[1] != outputs[0]:
        raise ModelError(
            f"The labels are one-hot with {labels.shape[1]} classes, but the model has {outputs[0]} outputs. Give the "
            f"last layer {labels.shape[1]} outputs."
        )
