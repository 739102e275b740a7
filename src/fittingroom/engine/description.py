"""A Keras model as plain data, and back, without ever running code from a file.

Keras's own loaders have run code while loading (CVE-2025-1550 and its successors). So what a file says is checked
first: only Keras's own layers, initializers, losses and so on, by name. Layers that hold code (Lambda and the wrappers
    of
other frameworks) are refused.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from typing import Any

import keras

from fittingroom.engine.blueprint import Outline
from fittingroom.errors import RunError

Description = dict[str, Any]

FORMAT = 1

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
_FUNCTION_MODULES = ("builtins", "keras.activations", "keras.losses", "keras.metrics")


def describe(model: keras.Model) -> Description:
    """The model's structure as plain data, without weights.

    `keras` is None when the model holds the user's own classes or functions, and `reason` then says so; such a model
    can be used again only by whoever has its code.
    """
    try:
        _check_functions(model)
        with warnings.catch_warnings():
            # Keras 3.15 calls np.array(variable), whose __array__ does not know NumPy 2's `copy`.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            structure = json.loads(model.to_json())
        _check(structure)
    except (NotImplementedError, TypeError, ValueError, RunError) as error:
        return {"format": FORMAT, "keras": None, "reason": str(error).partition("\n")[0]}
    return {"format": FORMAT, "keras": structure}


def rebuild(description: Description, outline: Outline | None = None) -> keras.Model:
    """The model of a description, compiled as it was, with fresh weights.

    Args:
        description: from `describe`, or from a file.
        outline: what the model must look like; it is compared before anything of the model's size is allocated.

    Raises:
        RunError: the description holds something that is not Keras's own, makes no model, or another one.
    """
    structure = description.get("keras")
    if structure is None:
        raise RunError(
            f"The run's model cannot be built from its folder ({description.get('reason', 'no description')}). "
            "Give the model itself: fittingroom.open_run(path, model=model)."
        )
    try:
        _check(structure)
        _check_size(structure)
        if outline is not None:
            metrics = [_compile_settings(structure).get(name) for name in ("metrics", "weighted_metrics")]
            outline.check(lambda: _made(_uncompiled(structure)), metrics)
        model = _made({**_uncompiled(structure), "compile_config": structure.get("compile_config")})
    except RunError as error:
        raise RunError(f"The run's model.json is refused: {error}.") from error
    except Exception as error:  # Keras raises many kinds for a description that makes no sense
        reason = str(error).partition("\n")[0]
        raise RunError(f"The run's model.json does not describe a model that Keras can build: {reason}") from error
    if not isinstance(model, keras.Model):
        raise RunError(f"The run's model.json describes a {type(model).__name__}, not a Keras model.")
    return model


def _made(structure: Any) -> Any:
    return keras.models.model_from_json(json.dumps(structure))


def _compile_settings(structure: Any) -> dict[str, Any]:
    settings = structure.get("compile_config") if isinstance(structure, dict) else None
    return settings if isinstance(settings, dict) else {}


def _uncompiled(value: Any) -> Any:
    """The structure without what it says about compiling the model and the models in it."""
    if isinstance(value, list):
        return [_uncompiled(item) for item in value]
    if isinstance(value, dict):
        return {key: _uncompiled(item) for key, item in value.items() if key != "compile_config"}
    return value


def _check_functions(model: keras.Model) -> None:
    """Raises RunError if a layer holds a function of the user's: Keras describes it by its name alone."""
    for layer in model._flatten_layers():
        for function in filter(inspect.isfunction, vars(layer).values()):
            if not str(function.__module__).startswith("keras."):
                raise RunError(f"its layer {layer.name} holds {function.__name__}, which is not one of Keras's own")


def _check_size(structure: Any) -> None:
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
    if (name, module) == ("Functional", "keras.src.models.functional"):
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
