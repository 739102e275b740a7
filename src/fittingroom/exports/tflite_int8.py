"""A TFLite program in integers: weights of 8 bits for each channel, values of 8 bits by the ranges that images show.

Everything that LiteRT can compute in integers is, from the first layer with weights to the last. What comes before,
resizing and scaling, stays float32. So does what comes after: a softmax in steps of 1/256 is not calibrated.

Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018; Nagel
et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fittingroom.exports.tflite_program import NONE, LiteOperator, LiteProgram, LiteTensor, Quantization
from fittingroom.exports.tflite_runtime import Observed

Array = np.ndarray[Any, Any]

_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
"""Operators with weights: along which axis of these the channels lie."""

_OWN_STEP = {"ADD", "SUB", "MUL", "MEAN", "RELU", "RELU6", "LEAKY_RELU", "PRELU", "HARD_SWISH", *_CHANNEL_AXIS}
"""What it gives is stored in steps of its own."""

_STEP_OF_INPUT = {
    "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESHAPE", "TRANSPOSE", "PAD", "SLICE", "REVERSE_V2", "REDUCE_MAX",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
}  # fmt: skip
_ONE_STEP = {"CONCATENATION", "MAXIMUM", "MINIMUM"}
"""All that it takes has the steps of what it gives."""

_FIXED_STEP: Mapping[str, Quantization] = {
    "LOGISTIC": Quantization(np.array([1 / 256], np.float32), np.array([-128], np.int64)),
    "TANH": Quantization(np.array([1 / 128], np.float32), np.array([0], np.int64)),
}


def quantized(program: LiteProgram, seen: Mapping[int, Observed]) -> LiteProgram:
    """The program in integers.

    Args:
        program: in float32.
        seen: what images show of each value, by its place.
    """
    return _Quantizer(program, seen).program


def in_integers(program: LiteProgram) -> set[int]:
    """Which operators are computed in integers, by their places.

    What leads to a rounded pixel is not: images are resized so, by weights too, and the filters for edges of a backbone
    see one step of 255 that is rounded otherwise.
    """
    operators = list(enumerate(program.operators))
    pixels = _needed_by(program, {place for place, operator in operators if operator.kind == "FLOOR"})
    weighty = {place for place, operator in operators if operator.kind in _CHANNEL_AXIS} - pixels
    after: set[int] = set()
    reached: set[int] = set()
    for place, operator in operators:
        if place in weighty or reached.intersection(operator.inputs):
            reached.add(operator.output)
            after.add(place)
    known = _OWN_STEP | _STEP_OF_INPUT | _ONE_STEP | set(_FIXED_STEP)
    return {place for place in after & _needed_by(program, weighty) if program.operators[place].kind in known}


def _needed_by(program: LiteProgram, wanted: set[int]) -> set[int]:
    """Some operators, and all that lead to them."""
    found: set[int] = set()
    values: set[int] = set()
    for place in reversed(range(len(program.operators))):
        operator = program.operators[place]
        if place in wanted or operator.output in values:
            values.update(operator.inputs)
            found.add(place)
    return found


class _Quantizer:
    def __init__(self, program: LiteProgram, seen: Mapping[int, Observed]) -> None:
        self._source = program
        self._seen = seen
        self._numbers: dict[int, int] = {}
        self._integers: dict[int, int] = {}
        self.program = LiteProgram()
        for name, place in program.inputs.items():
            self.program.inputs[name] = self._numbers[place] = self.program.tensor(program.tensors[place])
        chosen = in_integers(program)
        for place, operator in enumerate(program.operators):
            if place in chosen:
                self._integers[operator.output] = self._in_integers(operator)
            else:
                inputs = [self._number(value) for value in operator.inputs]
                output = program.tensors[operator.output]
                self._numbers[operator.output] = self.program.add(operator.kind, inputs, output, **operator.options)
        self.program.outputs.update({name: self._number(place) for name, place in program.outputs.items()})

    def _in_integers(self, operator: LiteOperator) -> int:
        output = self._source.tensors[operator.output]
        if operator.kind in _CHANNEL_AXIS:
            inputs, meaning = self._weighted(operator), self._meaning(operator.output)
        elif operator.kind in _STEP_OF_INPUT:
            inputs = [self._integer(operator.inputs[0]), *map(self._number, operator.inputs[1:])]
            meaning = self._quantization(inputs[0])
        elif operator.kind in _ONE_STEP:
            meaning = self._meaning(operator.output)
            inputs = [self._integer(place, meaning) for place in operator.inputs]
        else:
            meaning = _FIXED_STEP.get(operator.kind) or self._meaning(operator.output)
            inputs = [self._parameter(operator, index) for index in range(len(operator.inputs))]
        tensor = LiteTensor(output.name, output.shape, "int8", quantization=meaning)
        return self.program.add(operator.kind, inputs, tensor, **operator.options)

    def _parameter(self, operator: LiteOperator, index: int) -> int:
        """An input of an operator: a value in integers, or axes, which are integers already."""
        place = operator.inputs[index]
        tensor = self._source.tensors[place]
        return self._number(place) if tensor.data is not None and tensor.type == "int32" else self._integer(place)

    def _weighted(self, operator: LiteOperator) -> list[int]:
        value, weights, bias = operator.inputs
        source, kernel, axis = self._integer(value), self._data(weights), _CHANNEL_AXIS[operator.kind]
        step = float(self._quantization(source).scale[0])
        offsets = np.zeros(kernel.shape[axis], np.float32) if bias == NONE else self._data(bias)
        scale = _channel_scale(kernel, axis, step, offsets)
        along = scale.reshape([-1 if place == axis else 1 for place in range(kernel.ndim)])
        integers = _rounded(kernel / along)
        # What the rounding of the weights adds to the mean of each channel is taken off (bias correction).
        offsets = offsets + _mean_of(kernel - integers * along, operator.kind, np.asarray(self._seen[value].means))
        nothing = np.zeros(len(scale), np.int64)
        fine = (scale * np.float32(step)).astype(np.float32)
        whole = np.rint(offsets / fine.astype(np.float64)).astype(np.int32)
        return [
            source,
            self.program.constant(integers.astype(np.int8), "", Quantization(scale, nothing, axis)),
            self.program.constant(whole, "", Quantization(fine, nothing)),
        ]

    def _data(self, place: int) -> Array:
        data = self._source.tensors[place].data
        if data is None:
            raise ValueError(f"tensor {place} is not a constant")
        return data

    def _quantization(self, place: int) -> Quantization:
        meaning = self.program.tensors[place].quantization
        if meaning is None:
            raise ValueError(f"tensor {place} is not in integers")
        return meaning

    def _meaning(self, place: int) -> Quantization:
        """The steps of a value or a constant of the source."""
        data = self._source.tensors[place].data
        if data is not None:
            return _steps(float(data.min()), float(data.max()))
        return _steps(self._seen[place].low, self._seen[place].high)

    def _integer(self, place: int, wanted: Quantization | None = None) -> int:
        """A value of the source in integers, in these steps or in its own."""
        tensor = self._source.tensors[place]
        if tensor.data is not None:
            meaning = wanted or self._meaning(place)
            integers = np.rint(tensor.data / meaning.scale[0] + meaning.zero_point[0]).clip(-128, 127)
            return self.program.constant(integers.astype(np.int8), "", meaning)
        if place not in self._integers:
            self._integers[place] = self._quantize(self._numbers[place], wanted or self._meaning(place))
        integer = self._integers[place]
        if wanted is None or self._quantization(integer).equals(wanted):
            return integer
        return self._quantize(integer, wanted)

    def _quantize(self, place: int, meaning: Quantization) -> int:
        tensor = self.program.tensors[place]
        integers = LiteTensor(f"{tensor.name}_int8", tensor.shape, "int8", quantization=meaning)
        return self.program.add("QUANTIZE", [place], integers)

    def _number(self, place: int) -> int:
        """A value of the source in float32; constants as they are."""
        if place == NONE:
            return NONE
        tensor = self._source.tensors[place]
        if tensor.data is not None:
            return self.program.constant(tensor.data)
        if place not in self._numbers:
            number = LiteTensor(tensor.name, tensor.shape)
            self._numbers[place] = self.program.add("DEQUANTIZE", [self._integers[place]], number)
        return self._numbers[place]


def _steps(low: float, high: float) -> Quantization:
    """Steps that reach from low to high and hold zero exactly, as padding and rectifiers need it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    zero = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return Quantization(np.array([scale], np.float32), np.array([zero], np.int64))


def _rounded(weights: Array) -> Array:
    """Weights as integers of -127 to 127, whose sum over the places of each filter is kept.

    Pictures are smooth: a filter for edges whose weights no longer sum to zero sees their brightness instead.
    """
    integers = np.rint(weights)
    if weights.ndim == 4:
        rows = (weights - integers).transpose(0, 3, 1, 2)
        rest = rows.reshape(-1, rows.shape[2] * rows.shape[3])
        missing = np.rint(rest.sum(axis=1, keepdims=True))
        order = np.argsort(-rest * np.sign(missing), axis=1, kind="stable").argsort(axis=1, kind="stable")
        more = np.where(order < np.abs(missing), np.sign(missing), 0)
        integers += more.reshape(rows.shape).transpose(0, 2, 3, 1)
    return np.asarray(integers.clip(-127, 127))


def _mean_of(kernel: Array, kind: str, means: Array) -> Array:
    """The mean of each channel that a layer with these weights gives, of what it takes with these means."""
    if kind == "FULLY_CONNECTED":
        return np.asarray(kernel @ means)
    sums = kernel.sum(axis=(1, 2))
    if kind == "DEPTHWISE_CONV_2D":
        return np.asarray(sums[0] * np.repeat(means, sums.shape[1] // len(means)))
    groups = means.reshape(-1, sums.shape[1])
    return np.asarray((sums * np.repeat(groups, len(sums) // len(groups), axis=0)).sum(axis=1))


def _channel_scale(kernel: Array, axis: int, step: float, bias: Array | None) -> Array:
    """The step of the weights of each channel: fine, but not so fine that its bias leaves 32 bits."""
    largest = np.abs(kernel).max(axis=tuple(place for place in range(kernel.ndim) if place != axis))
    scale = np.maximum(largest / 127, max(float(largest.max()), 1e-6) / 127 * 1e-4)
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias) / (step * 2.0**30))
    return np.asarray(scale, np.float32)
