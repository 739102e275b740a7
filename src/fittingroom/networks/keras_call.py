"""A layer of Keras, as plain data, where a network uses it, and what makes operations of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fittingroom.errors import ModelError
from fittingroom.networks.graph import Array
from fittingroom.networks.graph_builder import GraphBuilder, Shape
from fittingroom.networks.keras_activations import UnknownActivationError, activated

Structure = Mapping[str, Any]
_JOINING = (
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "CustomScaleLayer", "InputLayer"),
)
Make = Callable[["LayerCall"], str]
"""What makes operations of a layer, and gives the name of its value."""


@dataclass(frozen=True)
class LayerCall:
    """A layer where it is used.

    Args:
        builder: takes the operations.
        inputs: values that the layer takes.
        structure: the layer as Keras serializes it: `class_name`, `config`.
        path: what the names of its weights begin with: names of layers, from the outermost, with `/` between.
        weights: all weights of the network, by path.
        used: paths of the weights that were used so far.
        kinds: what makes operations of a layer, by the name of its class.
        arguments: for an operation of `keras.ops`, all that it takes in order: names of values and, as Keras serializes
            them, numbers, arrays and slices.
        settings: what it is called with by name, as Keras serializes it.
    """

    builder: GraphBuilder
    inputs: Sequence[str]
    structure: Structure
    path: str
    weights: Mapping[str, Array]
    used: set[str]
    kinds: Mapping[str, Make]
    arguments: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The class's name; with the module before it where that is the user's, and for operations of `keras.ops`."""
        name, module = str(self.structure["class_name"]), str(self.structure.get("module") or "")
        if module.startswith(("keras.src.ops", "keras.src.activations")):
            return f"ops.{name}"
        return name if module.split(".", maxsplit=1)[0] == "keras" else f"{module}.{name}".lstrip(".")

    @property
    def config(self) -> Mapping[str, Any]:
        """The layer's configuration."""
        config: Mapping[str, Any] = self.structure["config"]
        return config

    @property
    def shape(self) -> Shape:
        """Of the first input, for one image."""
        return self.builder.shape(self.inputs[0])

    def refusal(self, why: str = "") -> ModelError:
        """The error that says that an export cannot hold this layer."""
        name = self.path.rpartition("/")[2]
        if "called_by" in self.structure:
            part = f"it calls {name} ({self.kind})" + (f": {why}" if why else ", which is not known")
            caller, kind = self.structure["called_by"]
            return cannot_hold(caller, kind, part)
        return cannot_hold(name, self.kind, why)

    def weight(self, name: str) -> Array | None:
        """A weight; None where the layer has none of this name."""
        path = f"{self.path}/{name}"
        self.used.add(path)
        return self.weights.get(path)

    def needed(self, name: str) -> Array:
        """A weight that the layer has in any case."""
        array = self.weight(name)
        if array is None:
            raise self.refusal(f"its weights lack {name!r}")
        return array

    def add(self, kind: str, *inputs: str, weights: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Adds an operation for the layer."""
        return self.builder.add(kind, inputs, weights=weights, layer=self.path, **options)

    def reshaped(self, value: str, shape: Sequence[int]) -> str:
        """A value in another shape."""
        return self.add("reshape", value, shape=shape)

    def scaled(self, value: str, scale: Any, offset: Any) -> str:
        """A value times a scale plus an offset: numbers, one for each channel, or of any shape that broadcasts."""
        scale, offset = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
        if all(_is_channelwise(part) for part in (scale, offset)):
            return self.add("scale", value, weights={"scale": _flat(scale), "offset": _flat(offset)})
        product = self.add("multiply", value, self.constant(scale))
        return self.add("add", product, self.constant(offset))

    def constant(self, value: Any) -> str:
        """An array, the same for all images."""
        return self.add("constant", weights={"value": value})

    def part(self, structure: Structure, inputs: Sequence[str], name: str | None = None) -> LayerCall:
        """A layer within this one, whose weights stand below this one's."""
        own = structure["config"]["name"] if name is None else name
        return replace(self, inputs=inputs, structure=structure, path=f"{self.path}/{own}")

    def activated(self, value: str, activation: Any = None) -> str:
        """What the layer's activation, by name or as Keras serializes it, makes of a value."""
        given = self.config.get("activation") if activation is None else activation
        if isinstance(given, Mapping) and given["class_name"] != "function":
            return apply_layer(self.part(given, [value]))
        name = given["config"] if isinstance(given, Mapping) else given
        return self.passed_through(value, name or "linear", {})

    def passed_through(self, value: str, name: str, settings: Mapping[str, Any]) -> str:
        """What a function of numbers makes of a value, with settings such as a slope."""
        try:
            return activated(self.builder, value, name, settings, self.path)
        except UnknownActivationError as unknown:
            raise self.refusal(f"the function {unknown} is not known") from None


def cannot_hold(name: str, kind: str, why: str = "") -> ModelError:
    """The error that names a layer, of a class, that exports cannot hold."""
    why = why or "layers of this kind are not known"
    return ModelError(f"The layer {name!r} ({kind}) cannot be exported: {why}.")


def apply_layer(call: LayerCall) -> str:
    """The value that a layer of one output gives.

    Raises:
        ModelError: a graph cannot hold the layer, which is named.
    """
    make = call.kinds.get(call.kind)
    if make is None:
        raise call.refusal()
    if len(call.inputs) != 1 and call.kind not in _JOINING and not call.kind.startswith("ops."):
        raise call.refusal(f"it takes {len(call.inputs)} values here, such as a mask or a state")
    try:
        if call.config.get("data_format") == "channels_first" and len(call.shape) > 1:
            return _channels_first(make, call)
        return make(call)
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise call.refusal(str(error)) from error


def _channels_first(make: Make, call: LayerCall) -> str:
    """The layer with channels moved to the end before it, and back behind it."""
    order = [*range(1, len(call.shape)), 0]
    turned = call.add("transpose", call.inputs[0], axes=order)
    structure = {**call.structure, "config": {**call.config, "data_format": "channels_last"}}
    value = make(replace(call, inputs=[turned], structure=structure))
    rank = len(call.builder.shape(value))
    return value if rank == 1 else call.add("transpose", value, axes=[rank - 1, *range(rank - 1)])


def _is_channelwise(array: Array) -> bool:
    return array.size == 1 or array.shape[-1] == array.size


def _flat(array: Array) -> Array:
    return array.reshape(()) if array.size == 1 else array.reshape(-1)


def values_of(serialized: Any) -> Array:
    """An array from what Keras writes for numbers, lists and arrays."""
    if isinstance(serialized, Mapping):
        return np.asarray(serialized["config"]["value"], np.float32)
    return np.asarray(serialized, np.float32)


def image_axes(call: LayerCall, axes: Any) -> list[int]:
    """Axes that Keras counts with the images' own, as those of one image."""
    rank = len(call.shape)
    counted = [int(axis) % (rank + 1) - 1 for axis in np.ravel(axes)]
    if any(axis < 0 for axis in counted):
        raise call.refusal("it works along the axis of the images")
    return sorted(counted)


def filled(shape: Sequence[int], size: int) -> list[int]:
    """A shape whose -1, where there is one, is what is left of `size` numbers."""
    known = math.prod(int(side) for side in shape if side != -1)
    return [size // known if side == -1 else int(side) for side in shape]
