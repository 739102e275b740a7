"""A network of Keras as a `Graph`: of its structure, as plain data, and its weights by path.

Keras is not imported here. `weights_of` and `graph_of_model` take a Keras model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from fittingroom.errors import ModelError
from fittingroom.networks.graph import Array, Graph
from fittingroom.networks.graph_builder import GraphBuilder
from fittingroom.networks.keras_call import LayerCall, Structure, apply_layer, cannot_hold
from fittingroom.networks.keras_layers import PLAIN_LAYERS
from fittingroom.networks.keras_operations import OPERATIONS
from fittingroom.networks.keras_sequences import RECURRENT_LAYERS, SEQUENCE_OPERATIONS
from fittingroom.networks.keras_weights import structure_of, weights_of
from fittingroom.networks.keras_windows import WINDOW_LAYERS

if TYPE_CHECKING:
    import keras

_KINDS = {**PLAIN_LAYERS, **WINDOW_LAYERS, **RECURRENT_LAYERS, **OPERATIONS, **SEQUENCE_OPERATIONS}
_MODELS = ("Functional", "Sequential", "Model")
_NOT_FOR_ANSWERS = ("vector_u", "count")  # weights that only training changes and looks at


def graph_of(
    structure: Structure,
    weights: Mapping[str, Array],
    *,
    image_shape: Sequence[int] | None = None,
    image_type: Literal["uint8", "float32"] = "float32",
    most: int | None = None,
) -> Graph:
    """The graph of a model with one input and one output, which is called `output`.

    Args:
        structure: of a functional or sequential model, as `model.to_json()` has it.
        weights: by path, as `weights_of` has them.
        image_shape: of one image, where the structure leaves it open.
        image_type: of the images as they are given.
        most: as for `GraphBuilder`, where the structure comes from a file.

    Raises:
        ModelError: a graph cannot hold a layer, which is named with its class.
        ValueError: shapes do not fit, or a value is too large.
    """
    shape = _image_shape(structure) or tuple(image_shape or ())
    if not shape:
        raise ModelError("The model takes images of any size; one of a fixed size is expected.")
    builder = GraphBuilder(shape, image_type, most=most)
    return builder.graph({"output": add_network(builder, "images", structure, weights)})


def graph_of_model(
    model: keras.Model,
    *,
    image_shape: Sequence[int] | None = None,
    image_type: Literal["uint8", "float32"] = "float32",
) -> Graph:
    """The graph of a Keras model of any kind, see `graph_of`.

    Layers that are not known, and models as code, are followed into the layers and operations that they call.

    Args:
        model: built.
        image_shape: of one image; needed for a model as code, and where the model leaves it open.
        image_type: of the images as they are given.

    Raises:
        ModelError: a graph cannot hold a layer, which is named with its class.
    """
    try:
        return graph_of(structure_of(model), weights_of(model), image_shape=image_shape, image_type=image_type)
    except ModelError as refusal:
        from fittingroom.networks.traced_model import traced

        shape = getattr(model, "input_shape", (None,))[1:]
        if not shape or None in shape:
            shape = image_shape
        if shape is None:
            raise
        try:
            return graph_of(*traced(model, shape, _KINDS), image_shape=shape, image_type=image_type)
        except ModelError as deeper:
            raise deeper from refusal


def _image_shape(structure: Structure) -> tuple[int, ...]:
    """The shape of one image that a model takes; empty where that is not fixed."""
    config = structure["config"]
    layers = config.get("layers") or [{}]
    batch = layers[0].get("config", {}).get("batch_shape")
    shape = batch or config.get("build_input_shape") or structure.get("build_config", {}).get("input_shape")
    return () if not shape or None in shape[1:] else tuple(shape[1:])


def add_network(
    builder: GraphBuilder,
    value: str,
    structure: Structure,
    weights: Mapping[str, Array],
    end: str | None = None,
) -> str:
    """Adds a model to a graph, and gives its output's value.

    Args:
        builder: takes the operations.
        value: what the model takes.
        structure: of a functional or sequential model.
        weights: by path.
        end: the layer whose output is wanted instead of the model's.

    Raises:
        ModelError: a graph cannot hold a layer, which is named with its class.
    """
    used: set[str] = set()
    call = LayerCall(builder, [value], structure, "", weights, used, _KINDS)
    outputs = _network(call, end)
    unused = sorted(path for path in weights if path not in used and path.rpartition("/")[2] not in _NOT_FOR_ANSWERS)
    if end is None and unused:
        raise ModelError(f"The weight {unused[0]!r} has no known use: the model cannot be exported.")
    if len(outputs) != 1:
        raise ModelError(f"The model has {len(outputs)} outputs; one is expected.")
    return outputs[0]


def _network(call: LayerCall, end: str | None = None) -> list[str]:
    if call.kind not in ("Sequential", "Functional", "Model") or "layers" not in call.config:
        name = call.path.rpartition("/")[2] or call.config.get("name", "model")
        raise cannot_hold(str(name), call.kind, "it is a model as code; functional and sequential models are known")
    return _sequence(call) if call.kind == "Sequential" and end is None else _functional(call, end)


def _below(call: LayerCall, structure: Structure, inputs: Sequence[str]) -> LayerCall:
    name = structure["config"].get("name") or structure.get("name")
    path = f"{call.path}/{name}".lstrip("/")
    return replace(call, inputs=inputs, structure=structure, path=path, arguments=(), settings={})


def _outputs(call: LayerCall) -> list[str]:
    """What a layer or a nested model gives."""
    return _network(call) if call.kind in _MODELS else [apply_layer(call)]


def _sequence(call: LayerCall) -> list[str]:
    values = list(call.inputs)
    for layer in call.config["layers"]:
        values = _outputs(_below(call, layer, values))
    return values


def _functional(call: LayerCall, end: str | None = None) -> list[str]:
    """The outputs of a functional model: its nodes in an order in which each finds its inputs."""
    config = call.config
    known: dict[tuple[str, int], list[str]] = {}
    for place, (name, *_) in enumerate(_tensors(config["input_layers"])):
        known[name, 0] = [call.inputs[place]]
    waiting = [
        (layer, number, node)
        for layer in config["layers"]
        for number, node in enumerate(layer["inbound_nodes"])
        if (layer["name"], 0) not in known
    ]
    while waiting:
        later = []
        for layer, number, node in waiting:
            arguments = [_found(item, known) for item in _flat([node["args"], _tensors_by_name(node["kwargs"])])]
            if any(argument is _MISSING for argument in arguments):
                later.append((layer, number, node))
                continue
            inputs = [argument for argument in arguments if isinstance(argument, str)]
            below = replace(_below(call, layer, inputs), arguments=arguments, settings=node["kwargs"])
            known[layer["name"], number] = _outputs(below)
            if layer["name"] == end:
                return known[layer["name"], number]
        if len(later) == len(waiting):
            raise ModelError(f"The layer {later[0][0]['name']!r} takes what no layer gives.")
        waiting = later
    return [known[name, node][tensor] for name, node, tensor in _tensors(config["output_layers"])]


_MISSING = object()


def _tensors_by_name(settings: Mapping[str, Any]) -> list[Any]:
    """What is given by name and is neither a switch nor a word."""
    return [value for value in settings.values() if value is not None and not isinstance(value, bool | str)]


def _found(item: Any, known: Mapping[tuple[str, int], Sequence[str]]) -> Any:
    """The value of a tensor, `_MISSING` before it is computed; anything else as it is."""
    if not isinstance(item, Mapping) or item.get("class_name") != "__keras_tensor__":
        return item
    name, node, tensor = item["config"]["keras_history"]
    return known[name, node][tensor] if (name, node) in known else _MISSING


def _flat(item: Any) -> Iterator[Any]:
    if isinstance(item, Mapping) and item.get("class_name") == "__tuple__":
        item = item["config"]["value"]
    if isinstance(item, list):
        for part in item:
            yield from _flat(part)
    else:
        yield item


def _tensors(item: Any) -> list[tuple[str, int, int]]:
    """Name of the layer, number of its node and of the tensor, for one or for several in a list or by name."""
    if isinstance(item, Mapping):
        return [tensor for part in item.values() for tensor in _tensors(part)]
    if item and isinstance(item[0], str):
        return [(item[0], int(item[1]), int(item[2]))]
    return [tensor for part in item for tensor in _tensors(part)]
