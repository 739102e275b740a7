"""Whether a model's last activation, loss and metrics fit together, said before training.

What cannot be learned, or would contradict itself, is refused. The rest trains, as in Keras, with a note on what its
numbers mean.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.losses import CLASSWISE, OUTPUTWISE, LossFacts, OutputKind
from fittingroom.engine.state import State
from fittingroom.errors import ModelError
from fittingroom.recipes.last_activation import last_activation

Array = np.ndarray[Any, Any]

_UP_TO_ONE = ("softmax", "sigmoid", "hard_sigmoid")
_POSITIVE = ("softplus", "exponential")
_FLOORED = ("relu", "relu6")


class _End(NamedTuple):
    """How a model ends.

    Args:
        activation: the last one by name; "linear" for none; empty where nothing tells.
        words: the same as a clause: "the last activation is relu".
        outputs: how many numbers the model gives for an image.
    """

    activation: str
    words: str
    outputs: int


def check_end(
    model: keras.Model, images: Array, labels: Array, outputs: int
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Notes on what does not fit, notes on what Keras's numbers mean, and advice should the loss become NaN.

    Args:
        model: compiled and built.
        images: some of training, as the model gets them; where the structure does not tell its outputs, they are tried.
        labels: of training, as `fit` got them.
        outputs: how many numbers the model gives for an image.

    Raises:
        ModelError: with this activation and this loss nothing can be learned.
    """
    found = _misfits(model, images, outputs)
    return found, _meanings(model, outputs, labels), _if_diverged(model, images, found)


def _misfits(model: keras.Model, images: Array, outputs: int) -> tuple[str, ...]:
    facts = LossFacts.of(model, outputs)
    if facts.function not in (*CLASSWISE, *OUTPUTWISE, "kl_divergence"):
        return ()
    of_layers = type(model).call.__qualname__ in ("Functional.call", "Sequential.call")
    last = model.outputs[0]._keras_history.operation if of_layers else None  # code names its layers in any order
    if isinstance(last, keras.layers.Dropout) and not facts.from_logits:
        return (
            "Dropout is the last layer: in training it sets probabilities to 0, and where it does so to all of an "
            "image's, the loss is NaN. Move it before the last layer with weights.",
        )
    end = _end_of(model, images, outputs)
    if end.activation == "softmax" and outputs == 1:
        raise ModelError(
            f"{end.words.capitalize()} over one output, so it is 1 for every image and nothing can be learned. Use "
            "activation='sigmoid' with binary_crossentropy, or give the last layer 2 outputs."
        )
    if facts.function in OUTPUTWISE:
        return _of_outputs(facts, end)
    if facts.from_logits:
        return _of_logits(facts, end)
    if end.activation not in ("", *_UP_TO_ONE, *_POSITIVE) and _are_probabilities(_outputs_of(model, images)):
        return ()  # a mixture of probabilities, say, by weights that sum to 1
    return _of_probabilities(facts, end)


def _end_of(model: keras.Model, images: Array, outputs: int) -> _End:
    activation = last_activation(model)
    if activation not in ("", "input"):
        words = "the last layer has no activation" if activation == "linear" else f"the last activation is {activation}"
        return _End(activation, words, outputs)
    seen = _outputs_of(model, images)
    lowest, highest = float(seen.min()), float(seen.max())
    words = f"the outputs for the first {len(seen)} training images are {lowest:.3g} to {highest:.3g}"
    if lowest < -0.001:
        return _End("linear", words, outputs)
    if _are_probabilities(seen) and np.ptp(seen) > 0:
        return _End("softmax", f"{words} and sum to 1, so they are probabilities", outputs)
    return _End("", words, outputs)


def _are_probabilities(outputs: Array) -> bool:
    """Whether each row is positive and sums to 1."""
    several = outputs.shape[1] > 1 and len(outputs) > 1
    return several and float(outputs.min()) > -0.001 and np.allclose(outputs.sum(axis=1), 1, atol=0.01)


def _outputs_of(model: keras.Model, images: Array) -> Array:
    """The outputs of the model, with its present weights, for some images: float32 `(images, outputs)`."""
    weights = State.values_of(model.trainable_variables), State.values_of(model.non_trainable_variables)
    return np.asarray(jax.jit(KerasSteps(model).outputs)(*weights, images), np.float32)


def _of_probabilities(facts: LossFacts, end: _End) -> tuple[str, ...]:
    """Notes on a loss on class probabilities, and outputs that are not probabilities."""
    if end.activation in ("", "softmax"):
        return ()
    if facts.function == "kl_divergence":
        return (
            f"{_subject(end)}, but the loss {facts.name} expects probabilities that sum to 1: it is lowest where every "
            "output is 1. Use activation='softmax'.",
        )
    if end.activation in (*_UP_TO_ONE, *_POSITIVE):
        return (
            f"{_subject(end)}, so the outputs of an image need not sum to 1. The loss {facts.name} divides them by "
            "their sum, and so do the run's predict, explain and evaluate; model.predict does not. For one class per "
            "image, softmax is usual.",
        )
    why = (
        "divides them by their sum, and 0 / 0 is NaN"
        if end.activation in _FLOORED
        else "divides them by their sum and takes logarithms, which are not defined for negative numbers"
    )
    raise ModelError(
        f"{_subject(end)}, but the loss {facts.name} expects probabilities: it {why}. The softmax is missing. Use "
        f"activation='softmax' in the last layer{_or_from_logits(facts, end)}."
    )


def _or_from_logits(facts: LossFacts, end: _End) -> str:
    one = {"categorical_crossentropy": "CategoricalCrossentropy"}.get(facts.function, "SparseCategoricalCrossentropy")
    without = "" if end.activation == "linear" else "no activation there and "
    return f", or {without}loss=keras.losses.{one}(from_logits=True)"


def _of_logits(facts: LossFacts, end: _End) -> tuple[str, ...]:
    """Notes on a loss on the logits of classes, and outputs that are bounded."""
    if end.activation in _UP_TO_ONE:
        highest = math.e / (math.e + end.outputs - 1)
        return (
            f"{_subject(end)}, but the loss {facts.name} has from_logits=True, so it applies softmax to numbers from 0 "
            f"to 1: no probability can be higher than {highest:.0%}, the loss stays above {-math.log(highest):.2f}, "
            "and training is slow. The run's predict, explain and evaluate use the probabilities that the loss "
            "computes; model.predict gives the outputs. Remove the activation or from_logits=True.",
        )
    if end.activation in (*_FLOORED, *_POSITIVE):
        return (
            f"{_subject(end)}, but the loss {facts.name} has from_logits=True: logits may be negative, and this "
            "activation makes them 0 or more, so little is learned. Remove it from the last layer.",
        )
    return ()


def _of_outputs(facts: LossFacts, end: _End) -> tuple[str, ...]:
    """Notes on a loss on each output by itself."""
    bounded = (*_UP_TO_ONE, *_FLOORED, *_POSITIVE)
    if facts.from_logits and end.activation in bounded:
        if end.outputs == 1:
            raise ModelError(
                f"{_subject(end)}, but the loss {facts.name} has from_logits=True: an output of 0 or more means a "
                "probability of at least 0.5 for class 1, so no image could be of class 0. Remove the activation or "
                "from_logits=True."
            )
        return (
            f"{_subject(end)}, but the loss {facts.name} has from_logits=True: it applies the sigmoid to numbers that "
            "are 0 or more, so no probability can be below 0.5. Remove the activation or from_logits=True.",
        )
    if not facts.from_logits and end.activation not in ("", *_UP_TO_ONE):
        name = "BinaryFocalCrossentropy" if "focal" in facts.function else "BinaryCrossentropy"
        return (
            f"{_subject(end)}, but the loss {facts.name} reads the outputs as probabilities: below 0 counts as 0 and "
            "above 1 as 1, where nothing is learned. The run's predict, explain and evaluate read them in this way "
            "too; model.predict gives the outputs. Use activation='sigmoid', or no activation and "
            f"loss=keras.losses.{name}(from_logits=True).",
        )
    return ()


def _subject(end: _End) -> str:
    return end.words[0].upper() + end.words[1:]


def _meanings(model: keras.Model, outputs: int, labels: Array) -> tuple[str, ...]:
    """Notes on numbers of Keras's history that differ from those that a run reports: what each of them means."""
    facts = LossFacts.of(model, outputs)
    said = []
    if labels.ndim == 2 and labels.shape[1] > 1 and (shares := labels.max(axis=1) < 0.999).any():
        said.append(
            f"{shares.sum():,} of {len(labels):,} labels are shares of several classes. In the history, loss and "
            "val_loss compare probabilities with the shares; in explain and evaluate, the class with the largest share "
            "is the true one."
        )
    if facts.function in OUTPUTWISE and outputs > 1:
        said.append(
            f"The loss {facts.name} is a mean over the {outputs} outputs, each by itself. In explain and evaluate, the "
            "probabilities of an image are its outputs divided by their sum, and the loss is the cross-entropy of the "
            "true class."
        )
    elif facts.function and not facts.is_plain_crossentropy:
        smoothed = " with label_smoothing" if facts.settings.get("label_smoothing") else ""
        said.append(
            f"In the history, loss and val_loss are those of {facts.name}{smoothed}. In explain and evaluate, the loss "
            "is the cross-entropy of the true class, in nats."
        )
    elif facts.function and _has_penalties(model):
        said.append(
            "In the history, loss and val_loss include the penalties of regularizers and add_loss. In explain and "
            "evaluate, the loss is the cross-entropy of the true class alone, in nats."
        )
    return (*said, *_metric_meanings(model, outputs, labels))


def _has_penalties(model: keras.Model) -> bool:
    """Whether a regularizer or add_loss adds to the loss of the labels."""
    layers = model._flatten_layers()
    return bool(model.losses) or any(
        getattr(layer, "activity_regularizer", None) is not None
        or "add_loss" in getattr(getattr(type(layer).call, "__code__", None), "co_names", ())
        for layer in layers
    )


def _metric_meanings(model: keras.Model, outputs: int, labels: Array) -> tuple[str, ...]:
    """A note for each metric that the history has otherwise than explain and evaluate, or that means nothing."""
    metrics = getattr(getattr(model, "_compile_metrics", None), "metrics", [])
    kind = OutputKind.of(model)
    even = 0.5 if kind == "probabilities" else 0.0  # the output at which both of two classes are equally likely
    logits = kind in ("logits", "sigmoid logits")
    one_hot = labels.ndim == 2 and labels.shape[1] > 1
    notes = [
        _binary_meaning(metric, outputs, even, signed=bool(labels.min() < 0))
        if isinstance(metric, keras.metrics.BinaryAccuracy)
        else _other_meaning(metric, outputs, even, logits=logits, one_hot=one_hot)
        for metric in metrics
    ]
    return tuple(note for note in notes if note)


def _binary_meaning(metric: Any, outputs: int, even: float, *, signed: bool) -> str:
    """The note on a binary accuracy; empty where it counts what explain and evaluate count."""
    same = f"metrics=[keras.metrics.BinaryAccuracy(threshold={even})]"
    if outputs > 1:
        return (
            f"In the history, {metric.name} counts outputs, {outputs} for each image, and is high even for a model "
            "that guesses. The accuracy that the run reports counts images."
        )
    if signed:
        return (
            f"In the history, {metric.name} compares 0 and 1 with the labels -1 and 1, so no image of class -1 counts "
            "as right. For the accuracy of explain and evaluate, give labels 0 and 1, which the loss takes too, and "
            f"{same}."
        )
    if metric.threshold != even:
        return (
            f"In the history, {metric.name} counts an output above {metric.threshold:g} as class 1, but to the loss "
            f"both classes are equally likely at {even:g}, and so they are in explain, show and evaluate. For the same "
            f"in the history, use {same}."
        )
    return ""


def _other_meaning(metric: Any, outputs: int, even: float, *, logits: bool, one_hot: bool) -> str:
    """The note on any other metric; empty where it reads labels and outputs as the loss does."""
    settings = getattr(metric, "_fn_kwargs", {})
    if isinstance(metric, keras.metrics.CategoricalAccuracy) and outputs > 1 and not one_hot:
        return (
            f"In the history, {metric.name} means nothing: it expects one-hot labels, but these are class numbers. Use "
            "keras.metrics.SparseCategoricalAccuracy()."
        )
    if outputs == 1 and even == 0 and hasattr(metric, "thresholds") and not getattr(metric, "_from_logits", 0):
        area = isinstance(metric, keras.metrics.AUC)
        mend = "AUC(from_logits=True)" if area else f"{type(metric).__name__}(thresholds=0.0)"
        if not area and min(np.atleast_1d(metric.thresholds)) <= 0:
            return ""
        return (
            f"In the history, {metric.name} compares outputs with thresholds from 0 to 1, as if they were "
            f"probabilities, but to the loss both classes are equally likely at 0. Use keras.metrics.{mend}."
        )
    if "from_logits" in settings and settings["from_logits"] != logits:
        right = not settings["from_logits"]
        return (
            f"In the history, {metric.name} has from_logits={not right}, but the loss reads the outputs the other way. "
            f"Use keras.metrics.{type(metric).__name__}(from_logits={right})."
        )
    return ""


def _if_diverged(model: keras.Model, images: Array, found: tuple[str, ...]) -> str:
    """Advice for the case that the loss becomes NaN or infinite: what is known to be wrong, or else the usual."""
    if found:
        return f"The likely cause: {found[0]}"
    top = float(np.abs(images).max(initial=0))
    own = (
        " A logarithm of 0 or a division by 0 in the loss may be the cause too."
        if not LossFacts.of(model).function
        else ""
    )
    if top > 1.5:
        return (
            f"The values of the images go up to {top:g}. Scaling them to 0 to 1, or a smaller learning rate, usually "
            f"helps.{own}"
        )
    return f"A smaller learning rate usually helps, or clipnorm=1.0 in the optimizer.{own}"
