"""A Keras model as plain data: its structure, and its weights by path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.networks.graph import Array
from fittingroom.networks.keras_call import cannot_hold

if TYPE_CHECKING:
    import keras


def structure_of(model: keras.Model) -> dict[str, Any]:
    """A model as plain data.

    Raises:
        ModelError: it has no such form.
    """
    try:
        structure: dict[str, Any] = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise cannot_hold(model.name, type(model).__name__, f"Keras cannot write it as plain data ({error})") from error
    return structure


def weights_of(model: keras.Model) -> dict[str, Array]:
    """The weights of a model, float32, by path: the names of the layers from the outermost, and the weight's."""
    return weights_below(model, "")


def weights_below(layer: keras.Layer, prefix: str) -> dict[str, Array]:
    """The weights of a layer and of those within it, float32, by path; `prefix` stands before each."""
    weights: dict[str, Array] = {}
    seen: set[int] = set()
    for path, variable in _variables_below(layer, prefix):
        if id(variable) in seen:  # a wrapper has its layer's, too
            continue
        seen.add(id(variable))
        number = sum(known.partition("#")[0] == path for known in weights) + 1 if path in weights else 1
        weights[path if number == 1 else f"{path}#{number}"] = np.asarray(variable.numpy()).astype(np.float32)
    return weights


def _variables_below(layer: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Path and variable; those of layers within a layer first."""
    for part in layer.layers if hasattr(layer, "layers") else layer._layers:
        yield from _variables_below(part, f"{prefix}{part.name}/")
    for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
        # Keras counts those without a name through the whole process
        yield prefix + re.sub(r"^variable_\d+$", "variable", variable.name), variable
