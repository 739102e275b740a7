"""How the compiled loss reads a model's outputs (logits, probabilities or margins), and which labels it takes.

Everything that a run says of an image (`predict`, `explain`, `evaluate`, `serve`, its loss) is read here, as the loss
reads it, so that these numbers and those of Keras's history mean the same.
"""

from __future__ import annotations

import functools
import inspect
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fittingroom.engine.arrays import LabelForm
from fittingroom.errors import ModelError
from fittingroom.recipes.last_activation import last_activation

# Keras's losses by what they do with outputs. Those that it computes of class probabilities:
CLASSWISE = (
    "sparse_categorical_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy",
)  # fmt: skip
# of the probability of each output by itself:
OUTPUTWISE = ("binary_crossentropy", "binary_focal_crossentropy")
# and those that compare outputs with targets, which for a class are 0 and 1.
_REGRESSION = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "huber", "log_cosh", "poisson",
)  # fmt: skip
_TARGETS = ("kl_divergence", "dice", "tversky", *_REGRESSION)
_MARGINS = ("hinge", "squared_hinge")
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "relu", "softplus", "exponential")  # as last activation


class LossFacts(NamedTuple):
    """What is known of a compiled loss.

    Args:
        name: as the user or Keras calls it.
        function: the name of Keras's function behind it; empty for a user's own.
        settings: the keyword arguments of that function, such as `from_logits`.
    """

    name: str
    function: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, model: keras.Model, outputs: int | None = None) -> LossFacts:
        """What is known of the model's compiled loss.

        Args:
            model: compiled.
            outputs: how many it has, which decides what "crossentropy" means; without it, that of several classes.
        """
        loss = cls.compiled(model)
        if isinstance(loss, str):
            return cls(loss, "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy", {})
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))
        settings: dict[str, Any] = {}
        function: Any = loss
        own = getattr(loss, "from_logits", None)
        while not inspect.isfunction(function):
            if isinstance(function, functools.partial):
                settings, function = {**function.keywords, **settings}, function.func
            elif hasattr(function, "fn"):
                settings, function = {**function._fn_kwargs, **settings}, function.fn
            else:
                break
        if own is not None:
            settings.setdefault("from_logits", own)
        of_keras = inspect.isfunction(function) and str(function.__module__).startswith("keras.")
        return cls(name, function.__name__ if of_keras else "", settings)

    @property
    def from_logits(self) -> bool:
        """Whether it takes the outputs for logits."""
        return bool(self.settings.get("from_logits", False))

    @property
    def is_regression(self) -> bool:
        """Whether it is a loss of regression, which measures the distance from targets."""
        return self.function in _REGRESSION

    @property
    def is_plain_crossentropy(self) -> bool:
        """Whether its value for an image is the cross-entropy of the true class, in nats."""
        plain = self.function in (*CLASSWISE[:2], OUTPUTWISE[0], "kl_divergence")
        return plain and not self.settings.get("label_smoothing")

    @staticmethod
    def compiled(model: keras.Model) -> Any:
        """The loss that the model is compiled with, as Keras resolves it; None where there is none.

        Keras takes the loss of a model's only output in lists and dictionaries too. "crossentropy" and "ce" stay as
        they are: Keras chooses by the labels.

        Raises:
            ModelError: Keras has no loss of this name.
        """
        given = getattr(model, "loss", None)
        loss = next((loss for loss in keras.tree.flatten(given) if loss is not None), None)
        if loss is None or str(loss).lower() in ("crossentropy", "ce"):
            return loss
        try:
            return keras.losses.get(loss)
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"The model is compiled with loss={given!r}, which Keras does not accept: "
                f"{str(error).partition(chr(10))[0]}. Give a loss from keras.losses, such as "
                "'sparse_categorical_crossentropy', or a function of your own."
            ) from error

    @classmethod
    def label_form(cls, model: keras.Model) -> LabelForm:
        """Which labels the model's loss takes besides 0, 1, 2, ..."""
        if not model.compiled:
            return LabelForm()
        facts = cls.of(model)
        return LabelForm(signed=facts.function in _MARGINS, ignored=facts.settings.get("ignore_class"))


class OutputKind(StrEnum):
    """How a loss reads a row of outputs."""

    LOGITS = "logits"  # of softmax over all of them
    SIGMOID_LOGITS = "sigmoid logits"  # each by itself
    PROBABILITIES = "probabilities"  # shares of their sum
    MARGINS = "margins"  # from -1 to 1

    @classmethod
    def of(cls, model: keras.Model) -> OutputKind:
        """How the model's loss reads its outputs.

        Keras's own losses say it. A loss of the user's is tried on one row of numbers, where `from_logits` does not
        tell; where that says nothing either, the last activation decides.
        """
        facts = LossFacts.of(model)
        known = {
            **dict.fromkeys(CLASSWISE, cls.LOGITS if facts.from_logits else cls.PROBABILITIES),
            **dict.fromkeys(OUTPUTWISE, cls.SIGMOID_LOGITS if facts.from_logits else cls.PROBABILITIES),
            **dict.fromkeys(_TARGETS, cls.PROBABILITIES),
            **dict.fromkeys(_MARGINS, cls.MARGINS),
        }
        if facts.function in known:
            return known[facts.function]
        if "from_logits" in facts.settings:
            return cls.LOGITS if facts.from_logits else cls.PROBABILITIES
        loss = None if facts.function else LossFacts.compiled(model)
        if (tried := None if loss is None else _tried(loss)) is not None:
            return tried
        return cls.PROBABILITIES if last_activation(model) in _PROBABILITIES else cls.LOGITS

    def log_probabilities(self, outputs: jax.Array) -> jax.Array:
        """Logarithms of probabilities `(batch, classes)` from outputs, `(batch, classes)` or `(batch, 1)` for two.

        Those of logits are exact. Others are divided by the sum of their row, where there are several, and clipped as
        Keras's losses clip them.
        """
        if self is OutputKind.LOGITS and outputs.shape[-1] > 1:
            return jax.nn.log_softmax(outputs, axis=-1)
        if self in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS) and outputs.shape[-1] == 1:
            return jax.nn.log_sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))
        positive = jax.nn.sigmoid(outputs) if self is OutputKind.SIGMOID_LOGITS else outputs
        if self is OutputKind.MARGINS:
            positive = (1 + jnp.clip(outputs, -1, 1)) / 2
        if outputs.shape[-1] == 1:
            positive = _clipped(positive)
            return jnp.log(jnp.concatenate([1 - positive, positive], axis=-1))
        positive = jnp.maximum(positive, 0)
        total = jnp.sum(positive, axis=-1, keepdims=True)
        shares = positive / jnp.where(total > 0, total, 1)
        # A row without a single positive output holds no probabilities; its order is all there is.
        return jnp.where(total > 0, jnp.log(_clipped(shares)), jax.nn.log_softmax(outputs, axis=-1))


def _tried(loss: Any) -> OutputKind | None:
    """How a user's own loss reads outputs, if it is a cross-entropy: its value for one row of numbers tells."""
    row = np.array([[0.2, 0.3, 0.5]], np.float32)
    for label in (np.array([2]), np.array([[0.0, 0.0, 1.0]], np.float32)):
        try:
            value = float(np.mean(np.asarray(loss(label, jnp.asarray(row)))))
        except Exception:  # whatever a user's code raises for a row that is not of the data
            continue
        if np.isclose(value, -np.log(0.5), rtol=1e-4):
            return OutputKind.PROBABILITIES
        if np.isclose(value, np.log(np.exp(row).sum()) - 0.5, rtol=1e-4):
            return OutputKind.LOGITS
    return None


def _clipped(probabilities: jax.Array) -> jax.Array:
    """Keras's bound: a probability of 0 costs -ln(1e-7) = 16.1 nats, not infinity, so means stay finite and agree."""
    smallest = keras.config.epsilon()
    return jnp.clip(probabilities, smallest, 1 - smallest)
