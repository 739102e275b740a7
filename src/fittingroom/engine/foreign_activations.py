"""Activations that are functions of TensorFlow's, such as `tf.nn.relu`: JAX cannot trace them; Keras has them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import keras

from fittingroom.errors import ModelError

_ATTRIBUTES = ("activation", "recurrent_activation")


def _keras_activation(given: Any) -> Any:
    """Keras's activation of the same name for a function of TensorFlow's; anything else as it is.

    Raises:
        ModelError: Keras has none of this name.
    """
    if not callable(given) or not str(getattr(given, "__module__", "")).startswith("tensorflow."):
        return given
    names = [str(name).rpartition(".")[2] for name in getattr(given, "_tf_api_names", ())]
    names.append(str(getattr(given, "__name__", "")).removesuffix("_v2"))
    for name in names:
        with suppress(ValueError):
            return keras.activations.get(name)
    raise ModelError(
        f"The activation {names[-1]} is a function of TensorFlow's, which JAX cannot trace, and Keras has none of that "
        "name. Give a function that uses keras.ops."
    )


def take_by_name(model: keras.Model) -> None:
    """Replaces activations of TensorFlow's in the layers of a model by Keras's own.

    Raises:
        ModelError: Keras has none of that name.
    """
    for layer in model._flatten_layers(include_self=False):
        for name in _ATTRIBUTES:
            given = vars(layer).get(name)
            if (own := _keras_activation(given)) is not given:
                setattr(layer, name, own)
