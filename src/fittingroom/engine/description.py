"""A Keras model as plain data, and back, without ever running code from a file.

Keras's own loaders have run code while loading (CVE-2025-1550 and its successors), so what a file says is checked
against a list first: only Keras's own layers, initializers, losses and so on, by name. Layers that hold code (Lambda
and the wrappers of other frameworks) are not on the list.
"""

from __future__ import annotations

import json
from typing import Any

import keras

from fittingroom.errors import RunError

Description = dict[str, Any]

FORMAT = 1

_MODULES = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "optimizers.schedules",
    "regularizers",
)
_HOLDS_CODE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
# Keras writes some of its classes under their private module.
_PRIVATE = {"Functional": "keras.src.models.functional"}


def describe(model: keras.Model) -> Description:
    """The model's structure as plain data, without weights.

    `keras` is None when the model holds the user's own classes or functions, and `reason` then says so; such a model
    can be used again only by whoever has its code.
    """
    try:
        structure = json.loads(model.to_json())
        _check(structure)
    except (NotImplementedError, TypeError, ValueError, RunError) as error:
        return {"format": FORMAT, "keras": None, "reason": str(error).partition("\n")[0]}
    return {"format": FORMAT, "keras": structure}


def rebuild(description: Description) -> keras.Model:
    """The model of a description, compiled as it was, with fresh weights.

    Raises:
        RunError: the description holds something that is not Keras's own, or makes no model.
    """
    structure = description.get("keras")
    if structure is None:
        raise RunError(
            f"The run's model cannot be built from its folder ({description.get('reason', 'no description')}). "
            "Give the model itself: fittingroom.open_run(path, model=model)."
        )
    _check(structure)
    try:
        model = keras.models.model_from_json(json.dumps(structure))
    except Exception as error:  # Keras raises many kinds for a description that makes no sense
        raise RunError(f"The run's model.json does not describe a model that Keras can build: {error}") from error
    return model


def _check(value: Any) -> None:
    """Raises RunError unless every object and function that the structure names is on the list."""
    if isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        if "class_name" in value:
            _check_named(value)
        for item in value.values():
            _check(item)


def _check_named(value: dict[str, Any]) -> None:
    name, module = value["class_name"], value.get("module")
    if name in ("__tuple__", "__keras_tensor__", "__numpy__", "__typespec__"):
        return
    if name == "function":
        function = str(value.get("config"))
        if not any(hasattr(_submodule(part), function) for part in ("activations", "losses", "metrics")):
            raise RunError(f"it names the function {function!r}, which is not one of Keras's own")
        return
    if name in _HOLDS_CODE or not (_PRIVATE.get(name) == module or _is_public(str(name), module)):
        raise RunError(f"it names {module}.{name}, which is not one of Keras's own building blocks without code")


def _is_public(name: str, module: str | None) -> bool:
    places = ("", *_MODULES) if module in ("keras", None) else (str(module).removeprefix("keras."),)
    return any(place in ("", *_MODULES) and hasattr(_submodule(place), name) for place in places)


def _submodule(dotted: str) -> Any:
    found: Any = keras
    for part in filter(None, dotted.split(".")):
        found = getattr(found, part)
    return found
