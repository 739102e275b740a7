"""A Keras model as a backbone: its classifier removed, and the places where it can be cut into blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import keras

from fittingroom.errors import ModelError

_MERGES = ("Add", "Concatenate", "CustomScaleLayer")
_WITH_KERNELS = ("Conv", "Dense", "SeparableConv")
_ENDS = ("softmax", "linear", "sigmoid")  # what the last layer of a classifier does


@dataclass(frozen=True)
class KerasBlock:
    """A block of a Keras model, which takes what one layer before it gives, and nothing else.

    Args:
        after: the layer, or another operation, whose output it takes.
        shape: of that, for one image.
        layers: the names of its layers that have weights.
    """

    after: str
    shape: tuple[int, ...]
    layers: tuple[str, ...]


def feature_model(model: keras.Model) -> keras.Model:
    """The model from images to pooled features: without the last layers of a classifier, and with the mean over places.

    Raises:
        ModelError: it does not take one square image, or gives neither maps nor features.
    """
    if not isinstance(model, keras.Model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError("it has not one input and one output")
    (image,), (output,) = model.inputs, model.outputs
    shape = tuple(image.shape[1:])
    square = len(shape) in (2, 3) and None not in shape and shape[0] == shape[1] and shape[2:] in ((), (1,), (3,))
    if not square:
        raise ModelError(f"it takes {_said(shape)}; square images of one size, in grey or RGB, are expected")
    output = _before_classifier(output)
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="pool")(output)
    if len(output.shape) != 2 or output.shape[1] is None:
        raise ModelError(f"it gives {_said(output.shape[1:])} for one image; maps or a row of features are expected")
    return keras.Model(image, output, name="backbone")


def blocks_of(model: keras.Model) -> tuple[KerasBlock, ...]:
    """The blocks of a model from images to features, from the first to the last; the stem is left out.

    A model can be cut where one tensor alone leads on. Blocks end where branches meet, or, in a model without branches,
    behind each layer that has a kernel.
    """
    places = _places(model)
    branched = sum(map(_is_merge, (node for place in places for node in place))) > 1
    blocks: list[KerasBlock] = []
    begin: tuple[str, tuple[int, ...]] | None = None  # where the block begins that is being gathered, and its shape
    layers: list[keras.layers.Layer] = []
    for place in places:
        layers += [node.operation for node in place if getattr(node.operation, "weights", None)]
        (output,) = place[-1].output_tensors
        ends = any(map(_is_merge if branched else _has_kernel, place))
        if not ((ends or output is model.outputs[0]) and layers):
            continue
        names = tuple(dict.fromkeys(layer.name for layer in layers))
        if any(map(_is_kernel, layers)):
            if begin is not None:
                blocks.append(KerasBlock(*begin, names))
        elif blocks:  # a normalisation alone belongs to the block before it
            blocks[-1] = replace(blocks[-1], layers=(*blocks[-1].layers, *names))
        begin, layers = (place[-1].operation.name, tuple(output.shape[1:])), []
    return tuple(blocks)


def output_of(model: keras.Model, operation: str) -> keras.KerasTensor:
    """What a layer or another operation of a model gives, by its name."""
    return next(each for each in model.operations if each.name == operation).output


def tail_of(model: keras.Model, block: KerasBlock | None, *, pooled: bool) -> keras.Model:
    """The model from the beginning of a block on; from images where it is None. Batch normalisation is frozen.

    Args:
        model: from images to features, which the result shares its layers with.
        block: the first block.
        pooled: whether the pooling stays.
    """
    begin = model.inputs[0] if block is None else output_of(model, block.after)
    pools = [layer for layer in model.layers if layer.name == "pool"]
    end = model.outputs[0] if pooled or not pools else pools[0].input
    tail = keras.Model(begin, end, name="backbone")
    for layer in tail._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return tail


def without_random_values(structure: Any) -> Any:
    """A structure whose variables begin with zeros: they get their values later, and JAX is slow at random ones."""
    if isinstance(structure, list):
        return [without_random_values(item) for item in structure]
    if isinstance(structure, dict):
        zeros: dict[str, Any] = {
            "module": "keras.initializers",
            "class_name": "Zeros",
            "config": {},
            "registered_name": None,
        }
        return {
            key: zeros if key.endswith("_initializer") and item is not None else without_random_values(item)
            for key, item in structure.items()
            if key != "compile_config"
        }
    return structure


def _said(shape: tuple[int | None, ...]) -> str:
    return " × ".join("any" if side is None else str(side) for side in shape) or "one number"


def _before_classifier(output: keras.KerasTensor) -> keras.KerasTensor:
    """What the last dense layer of a classifier takes; the output itself where there is none."""
    layer = output._keras_history.operation
    is_softmax = isinstance(layer, keras.layers.Softmax) or (
        isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.softmax
    )
    if is_softmax:
        layer = layer.input._keras_history.operation
    if isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == 2:
        name = getattr(layer.activation, "__name__", "")
        if is_softmax or name in _ENDS:
            return layer.input
    return output


def _is_merge(node: Any) -> bool:
    return type(node.operation).__name__ in _MERGES and len(node.input_tensors) > 1


def _has_kernel(node: Any) -> bool:
    return _is_kernel(node.operation)


def _is_kernel(layer: Any) -> bool:
    return type(layer).__name__.startswith(_WITH_KERNELS)


def _places(model: keras.Model) -> list[list[Any]]:
    """The nodes of a model in order, parted behind each whose output alone leads on."""
    nodes = [node for _, same in sorted(model._nodes_by_depth.items(), reverse=True) for node in same]
    waiting = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)  # how many have yet to take it
    waiting[id(model.outputs[0])] += 1
    alive: set[int] = set()
    places, since = [], []
    for node in nodes:
        since.append(node)
        waiting.subtract(id(tensor) for tensor in node.input_tensors)
        alive |= {id(tensor) for tensor in node.output_tensors}
        alive = {tensor for tensor in alive if waiting[tensor] > 0}
        if alive == {id(tensor) for tensor in node.output_tensors} and len(alive) == 1:
            places.append(since)
            since = []
    return places
