"""Whether a Keras model as plain data names only what is Keras's own, so that building it runs no code from a file.

Keras's own loaders have run code while loading (CVE-2025-1550 and its successors). So what a file says is checked
first: only Keras's own layers, initializers, losses and so on, by name. Layers that hold code (Lambda and the wrappers
of other frameworks) are refused.
"""

from __future__ import annotations

import sys
from typing import Any

import keras

from fittingroom.errors import RunError

_MOST_OBJECTS = 20_000  # a layer names itself, its data type, initializers and the like: some five
_LARGEST_NUMBER = 100_000  # such as the thresholds of a metric

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
_HOLDS_CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
_READS_FILES = ("IntegerLookup", "StringLookup", "TextVectorization")  # where a vocabulary is a path
_PRIVATE = (  # classes without code of a user's that Keras writes under private modules
    ("Functional", "keras.src.models.functional"),
    ("LayerScale", "keras.src.applications.convnext"),
    ("CustomScaleLayer", "keras.src.applications.inception_resnet_v2"),
)
_FUNCTION_MODULES = ("builtins", "keras.activations", "keras.losses", "keras.metrics")


def check_structure(value: Any) -> None:
    """Raises RunError unless every object and function that the structure names is on the list."""
    if isinstance(value, list):
        for item in value:
            check_structure(item)
    elif isinstance(value, dict):
        if "class_name" in value:
            _check_named(value)
        for item in value.values():
            check_structure(item)


def _check_named(value: dict[str, Any]) -> None:
    name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    if name in ("__tuple__", "__keras_tensor__", "__numpy__"):
        return
    if name == "function":
        function = str(value.get("config"))
        own = module in _FUNCTION_MODULES and registered in (None, name, function)
        if not (own and any(hasattr(_submodule(part), function) for part in ("activations", "losses", "metrics"))):
            raise RunError(f"it names the function {module}.{function}, which is not one of Keras's own")
        return
    own = registered in (None, name) and (_is_public(name, module) or _is_private(name, module))
    if name in (*_HOLDS_CODE, *_READS_FILES) or not own:
        raise RunError(f"it names {module}.{name}, which is not one of Keras's own building blocks without code")


def _is_public(name: Any, module: Any) -> bool:
    if module == "keras":
        return any(_is_class(_submodule(place), name) for place in ("", *_MODULES))
    return module in [f"keras.{place}" for place in _MODULES] and _is_class(_submodule(module[6:]), name)


def _is_class(place: Any, name: Any) -> bool:
    return isinstance(getattr(place, str(name), None), type)


def _is_private(name: Any, module: Any) -> bool:
    """Whether this is a class that Keras writes under its private module: a functional model, or an operation."""
    if (name, module) in _PRIVATE:
        return True
    if not str(module).startswith("keras.src.ops."):
        return False
    operation = getattr(sys.modules.get(str(module)), str(name), None)
    return isinstance(operation, type) and issubclass(operation, keras.Operation)


def _submodule(dotted: str) -> Any:
    found: Any = keras
    for part in filter(None, dotted.split(".")):
        found = getattr(found, part)
    return found


def check_structure_size(structure: Any) -> None:
    """Raises RunError where building would take long whatever the weights are: layer by layer, or number by number."""
    objects, waiting = 0, [structure]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            objects += "class_name" in value
            for key, item in value.items():
                if key.startswith("num_") and isinstance(item, int) and item > _LARGEST_NUMBER:
                    raise RunError(f"it has {key} = {item:,}; at most {_LARGEST_NUMBER:,} is allowed")
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    if objects > _MOST_OBJECTS:
        raise RunError(
            f"it names too many layers and other objects: {objects:,}; at most {_MOST_OBJECTS:,} are allowed"
        )
