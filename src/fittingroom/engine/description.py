"""A Keras model as plain data, and back, without ever running code from a file.

What a file says is checked first (`backbones/keras_structure.py`).
"""

from __future__ import annotations

import inspect
import json
import warnings
from typing import Any

import keras

from fittingroom.backbones.keras_structure import check_structure, check_structure_size
from fittingroom.engine.blueprint import Outline
from fittingroom.errors import RunError

Description = dict[str, Any]

FORMAT = 1


def describe(model: keras.Model, *, compiled: bool = True) -> Description:
    """The model's structure as plain data, without weights; unless `compiled`, without loss, metrics and optimizer too.

    `keras` is None when the model holds the user's own classes or functions, and `reason` then says so; such a model
    can be used again only by whoever has its code.
    """
    try:
        _check_functions(model, compiled=compiled)
        with warnings.catch_warnings():
            # Keras 3.15 calls np.array(variable), whose __array__ does not know NumPy 2's `copy`.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            structure = json.loads(model.to_json())
        structure = structure if compiled else _uncompiled(structure)
        check_structure(structure)
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
        check_structure(structure)
        check_structure_size(structure)
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


def _check_functions(model: keras.Model, *, compiled: bool) -> None:
    """Raises RunError if a layer holds a function of the user's: Keras describes it by its name alone."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.Model) and not compiled:
            continue  # what it holds besides layers is what it was compiled with
        for function in filter(inspect.isfunction, vars(layer).values()):
            if not str(function.__module__).startswith("keras."):
                raise RunError(f"its layer {layer.name} holds {function.__name__}, which is not one of Keras's own")
