"""A TFLite program in the making: its values by the names of a network's, and the steps that many kinds share."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fittingroom.errors import ModelError
from fittingroom.exports.tflite_program import LiteProgram, LiteTensor
from fittingroom.networks.graph import Graph, Operation

Array = np.ndarray[Any, Any]
Pairs = Sequence[Sequence[int]]

_FUSED = {"RELU", "RELU6"}
_TAKES_ACTIVATION = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "SUB"}


class LiteSteps:
    """The program of a network that grows operation by operation.

    Args:
        graph: the network.
        outputs: names of those of its outputs that are asked for.
    """

    def __init__(self, graph: Graph, outputs: Sequence[str]) -> None:
        self.program = LiteProgram()
        self.operations = _needed(graph, outputs)
        self._outputs = {name: graph.outputs[name] for name in outputs}
        inputs = [value for operation in self.operations for value in operation.inputs]
        self._uses = Counter([*inputs, *self._outputs.values()])
        images = self.program.tensor(LiteTensor("images", graph.image_shape, graph.image_type))
        self.program.inputs["images"] = images
        if graph.image_type != "float32":
            options = {"from": graph.image_type, "to": "float32"}
            images = self.program.add("CAST", [images], LiteTensor("pixels", graph.image_shape), **options)
        self._places = {"images": images}

    def places(self, operation: Operation) -> list[int]:
        """Those of what an operation takes."""
        return [self._places[value] for value in operation.inputs]

    def keep(self, operation: Operation, place: int) -> None:
        """Keeps the place of what an operation gives."""
        self._places[operation.output] = place

    def finished(self) -> LiteProgram:
        """The program with its outputs.

        Raises:
            ModelError: an output is the images, or another output.
        """
        for name, value in self._outputs.items():
            place = self._places[value]
            if value == "images" or place in self.program.outputs.values():
                raise ModelError(f"the output {name!r} of the network is another of its values")
            self.program.outputs[name] = place
            self.program.tensors[place] = dataclasses.replace(self.program.tensors[place], name=name)
        return self.program

    def shape(self, place: int) -> tuple[int, ...]:
        """The shape of a value for one image, or of a constant."""
        return self.program.tensors[place].shape

    def constant(self, value: Any, dtype: Any = np.float32) -> int:
        """The place of a constant."""
        return self.program.constant(np.asarray(value, dtype))

    def step(self, kind: str, inputs: Sequence[int], operation: Operation, **options: Any) -> int:
        """Adds an operator whose value has the operation's shape and name, and gives its place."""
        return self.value(kind, inputs, operation.shape, operation.output, **options)

    def value(self, kind: str, inputs: Sequence[int], shape: Sequence[int], name: str = "", **options: Any) -> int:
        """Adds an operator whose value has this shape for one image, and gives its place."""
        tensor = LiteTensor(name or f"{kind.lower()}{len(self.program.tensors)}", tuple(shape))
        return self.program.add(kind, inputs, tensor, **options)

    def alike(self, kind: str, places: Sequence[int], **options: Any) -> int:
        """Adds an operator whose value has the broadcast shape of what it takes, and gives its place."""
        shapes = [self.shape(place) for place in places]
        return self.value(kind, places, np.broadcast_shapes(*shapes), **options)

    def compared(self, place: int, threshold: float) -> int:
        """The place of 1.0 where a value is above a threshold, and 0.0 elsewhere."""
        shape = self.shape(place)
        mask = LiteTensor(f"mask{len(self.program.tensors)}", shape, "bool")
        truth = self.program.add("GREATER", [place, self.constant([threshold])], mask)
        return self.value("CAST", [truth], shape, **{"from": "bool", "to": "float32"})

    def padded(self, place: int, padding: Pairs, value: float = 0.0) -> int:
        """The place of a value with borders around the axes of one image.

        Args:
            place: of the value.
            padding: before and after, for each axis.
            value: what stands there.
        """
        before = self.shape(place)
        shape = tuple(size + sum(pair) for size, pair in zip(before, padding, strict=True))
        pairs = self.constant([(0, 0), *padding], np.int32)
        if value == 0:
            return self.value("PAD", [place, pairs], shape)
        return self.value("PADV2", [place, pairs, self.constant(value)], shape)

    def with_count(self, shape: Sequence[int]) -> int:
        """The place of a shape that begins with how many images there are."""
        images = self.program.inputs["images"]
        rank = len(self.shape(images)) + 1

        def shape_part(kind: str, inputs: Sequence[int], size: int, **options: Any) -> int:
            tensor = LiteTensor(f"shape{len(self.program.tensors)}", (size,), "int32", per_image=False)
            return self.program.add(kind, inputs, tensor, **options)

        whole = shape_part("SHAPE", [images], rank, to="int32")
        count = shape_part("SLICE", [whole, self.constant([0], np.int32), self.constant([1], np.int32)], 1)
        return shape_part("CONCATENATION", [count, self.constant(shape, np.int32)], len(shape) + 1, axis=0)

    def per_image(self, place: int) -> int:
        """A constant as a value that each image has."""
        tensor = self.program.tensors[place]
        if tensor.data is None:
            return place
        return self.value("BROADCAST_TO", [place, self.with_count(tensor.shape)], tensor.shape)

    def same_rank(self, places: Sequence[int]) -> list[int]:
        """Values with as many axes as the one that has most: others get axes of one place behind that of the images."""
        rank = max(len(self.shape(place)) for place in places)
        return [self._of_rank(place, rank) for place in places]

    def _of_rank(self, place: int, rank: int) -> int:
        shape = self.shape(place)
        if len(shape) == rank or self.program.tensors[place].data is not None:
            return place
        more = (1,) * (rank - len(shape)) + shape
        return self.value("RESHAPE", [place, self.constant([-1, *more], np.int32)], more)

    def fused(self, kind: str, operation: Operation, place: int) -> bool:
        """Gives an activation to the operator before it, where that can take one and nothing else sees its value."""
        last = self.program.operators[-1] if self.program.operators else None
        if (
            kind not in _FUSED
            or last is None
            or last.output != place
            or self.program.tensors[place].name != operation.inputs[0]  # another name of it may have other uses
            or last.kind not in _TAKES_ACTIVATION
            or last.options.get("activation")
            or self._uses[operation.inputs[0]] != 1
        ):
            return False
        self.program.operators[-1] = dataclasses.replace(last, options={**last.options, "activation": kind})
        return True


def _needed(graph: Graph, outputs: Sequence[str]) -> list[Operation]:
    """Without what only other outputs need."""
    needed = {graph.outputs[name] for name in outputs}
    kept = []
    for operation in reversed(graph.operations):
        if operation.output in needed:
            kept.append(operation)
            needed.update(operation.inputs)
    return kept[::-1]
