"""A Keras model that is code, or holds layers that are, as plain data: what it does when it is called on a symbol.

Subclassed models and layers of the user's own call other layers and `keras.ops`. Called on a symbolic tensor, Keras
notes each of these, so what remains is a functional model of Keras's own layers and operations. Code that decides by
the values of tensors, or calls JAX or NumPy itself, cannot be followed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fittingroom.errors import ModelError
from fittingroom.networks.graph import Array
from fittingroom.networks.keras_weights import weights_below

_MOST_PASSES = 20  # layers within layers within layers


def traced(
    model: keras.Model, image_shape: Sequence[int], known: Collection[str]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Structure and weights of a functional model that does the same; as `from_keras.graph_of` takes them.

    Args:
        model: of any kind, built.
        image_shape: of one image.
        known: classes of layers that are not looked into.

    Raises:
        ModelError: the model, or a layer in it, cannot be followed.
    """
    images = keras.Input(tuple(image_shape), name="images")
    output = _called(model, images)
    callers: dict[int, Any] = {}
    for _ in range(_MOST_PASSES):
        nodes = _nodes(output)
        if all(_is_known(node.operation, known) for node in nodes):
            return _described(nodes, output, callers)
        output = _opened(nodes, output, known, callers)
    raise ModelError(f"The model {model.name!r} cannot be exported: its layers call layers without an end.")


def _nodes(output: Any) -> list[Any]:
    """The calls that lead to a symbolic tensor, each behind those whose results it takes."""
    if not isinstance(output, keras.KerasTensor):
        raise ModelError(f"The model cannot be exported: it gives {type(output).__name__}, not one tensor.")
    done: dict[int, Any] = {}
    waiting = [_node_of(output)]
    while waiting:
        node = waiting[-1]
        before = [] if node.is_input else [_node_of(tensor) for tensor in node.input_tensors]
        missing = [each for each in before if id(each) not in done]
        if missing:
            waiting += missing
        else:
            done[id(waiting.pop())] = node
    return list(done.values())


def _node_of(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _opened(nodes: Sequence[Any], output: Any, known: Collection[str], callers: dict[int, Any]) -> Any:
    """The output where the own code of each layer that is not known is called in its place.

    Args:
        nodes: the calls that lead to the output.
        output: a symbolic tensor.
        known: classes of layers that are not looked into.
        callers: takes the outermost layer, by the identity of each operation that was called in its place.
    """
    new: dict[int, Any] = {}
    for node in nodes:
        if node.is_input:
            continue
        values, settings = keras.tree.map_structure(
            lambda value: new.get(id(value), value), (node.arguments.args, node.arguments.kwargs)
        )
        if _is_known(node.operation, known):
            results = node.operation(*values, **settings)
        else:
            results = _called(node.operation, *values, **settings)
            caller = callers.get(id(node.operation), node.operation)
            there = {id(tensor) for tensor in keras.tree.flatten((values, settings))}
            for tensor in keras.tree.flatten(results):
                _note_calls(tensor, there, caller, callers)
        pairs = zip(node.output_tensors, keras.tree.flatten(results), strict=True)
        new.update((id(tensor), result) for tensor, result in pairs)
    return new[id(output)]


def _note_calls(tensor: Any, there: set[int], caller: Any, callers: dict[int, Any]) -> None:
    """Notes who called the operations between tensors that were there and one that came of them."""
    waiting = [tensor]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in there or not isinstance(tensor, keras.KerasTensor):
            continue
        there.add(id(tensor))
        node = _node_of(tensor)
        callers.setdefault(id(node.operation), caller)
        waiting += [] if node.is_input else node.input_tensors


def _is_known(operation: Any, known: Collection[str]) -> bool:
    """Whether a layer is one of Keras's own that is not looked into, or is an operation of `keras.ops`."""
    if isinstance(operation, keras.layers.InputLayer) or not isinstance(operation, keras.layers.Layer):
        return True
    return type(operation).__module__.startswith("keras.") and type(operation).__name__ in known


def _called(layer: Any, *values: Any, **settings: Any) -> Any:
    if "training" not in inspect.signature(layer.call).parameters:
        settings.pop("training", None)
    elif settings.get("training") is None:
        settings["training"] = False
    object.__setattr__(layer, "add_loss", lambda _: None)  # it takes no symbols
    try:
        return layer.call(*values, **settings)
    except Exception as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise ModelError(
            f"The layer {layer.name!r} ({type(layer).__name__}) cannot be exported: its code cannot be followed "
            f"({type(error).__name__}: {first})."
        ) from error
    finally:
        object.__delattr__(layer, "add_loss")


def _described(
    nodes: Sequence[Any], output: Any, callers: Mapping[int, Any]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Structure and weights; each call is a layer of its own, and calls of one layer share the weights' paths."""
    names: dict[int, str] = {}
    layers: list[dict[str, Any]] = []
    weights: dict[str, Array] = {}
    tensors: dict[int, list[Any]] = {}
    for place, node in enumerate(nodes):
        operation = node.operation
        if id(operation) not in names:
            name = names[id(operation)] = _free(operation.name, names.values())
            if isinstance(operation, keras.layers.Layer):
                weights.update(weights_below(operation, f"{name}/"))
        structure = json.loads(json.dumps(keras.saving.serialize_keras_object(operation), default=str))
        config = {**structure["config"], "name": names[id(operation)]}
        inbound = [] if node.is_input else [_arguments(node, tensors)]
        called = {"name": f"call {place}", "inbound_nodes": inbound}
        if (caller := callers.get(id(operation))) is not None:
            called["called_by"] = [caller.name, type(caller).__name__]
        layers.append({**structure, "config": config, **called})
        tensors.update((id(tensor), [f"call {place}", 0, number]) for number, tensor in enumerate(node.output_tensors))
    config = {
        "name": "traced",
        "layers": layers,
        "input_layers": [[each["name"], 0, 0] for each in layers if not each["inbound_nodes"]],
        "output_layers": [tensors[id(output)]],
    }
    return {"module": "keras", "class_name": "Functional", "config": config}, weights


def _free(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it where another layer has it."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def _arguments(node: Any, tensors: Mapping[int, list[Any]]) -> dict[str, Any]:
    """What an operation takes, as Keras writes it; arrays and variables with their values."""

    def plain(value: Any) -> Any:
        if id(value) in tensors:
            return {"class_name": "__keras_tensor__", "config": {"keras_history": tensors[id(value)]}}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, slice):
            bounds = {"start": value.start, "stop": value.stop, "step": value.step}
            return {"class_name": "__slice__", "config": bounds}
        if value is Ellipsis:
            return {"class_name": "__ellipsis__", "config": {}}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return {"class_name": "__numpy__", "config": {"value": np.asarray(getattr(value, "value", value))}}

    settings = {name: plain(value) for name, value in node.arguments.kwargs.items()}
    return {"args": plain(node.arguments.args), "kwargs": settings}
