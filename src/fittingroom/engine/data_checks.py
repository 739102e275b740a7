"""Mistakes in the shape and the values of images and labels, found by looking at them, with a remedy for these data.

Values are judged as they reach the model's first weights: layers that only scale them are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fittingroom.data.ranges import ValueRange
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.losses import LossFacts
from fittingroom.errors import LabelRangeError, ModelError
from fittingroom.text import word_list

Array = np.ndarray[Any, Any]
Shape = tuple[int | None, ...]

_LOOKED_AT = 64  # images, besides those with the largest and the smallest value
# Images without negative values are called not scaled if a value is larger than this;
_TOO_LARGE = 1.5
# behind a layer that scales, only if it is larger than this: such a layer may scale to anything reasonable.
_TOO_LARGE_BEHIND = 16.0
# Values that lie no further apart than this are called too small. Even dark pictures have a bright pixel somewhere.
_TOO_SMALL = 1 / 16

_PASSIVE = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Resizing,
    keras.layers.CenterCrop,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
)
# Keras's augmentations that set values, or move them by shares of `value_range`. The others only clip to it.
_SETTING_VALUES = (
    keras.layers.AugMix,
    keras.layers.AutoContrast,
    keras.layers.Equalization,
    keras.layers.RandAugment,
    keras.layers.RandomBrightness,
    keras.layers.RandomColorJitter,
    keras.layers.RandomErasing,
    keras.layers.RandomInvert,
    keras.layers.RandomPosterization,
    keras.layers.Solarization,
)
_FAR = 8  # a range that is so many times as large means another scale, not dark pictures
_NORMALISING = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
)
_ARITHMETIC = {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Divide": np.divide,
    "TrueDivide": np.divide,
}
_SCALING = (keras.layers.Rescaling, keras.layers.Normalization, *_NORMALISING, keras.layers.Lambda)


@dataclass(frozen=True)
class DataChecks:
    """Training data seen from the model that is to learn from them.

    Args:
        model: the user's, with its layers as they are.
    """

    model: keras.Model

    def check_form(self, images: Array, labels: Array) -> None:
        """Refuses images that the model's input does not take, and labels that are not counted from 0.

        A model without an `Input` takes whatever comes first, so its images are not checked.

        Args:
            images: `(n, ...)`.
            labels: class numbers `(n,)`; -1 for images without a class.

        Raises:
            ModelError: the images or the labels do not fit; the message says what to give.
        """
        expected, found = _input_shape(self.model), images.shape[1:]
        if expected is not None and not _takes(expected, found):
            raise ModelError(
                f"The model takes images of shape {_written(expected)}, but these have the shape {_written(found)}. "
                f"{_way_out(expected, images, labels)}"
            )
        outputs = _output_count(self.model)
        named = labels[labels >= 0]
        if outputs is None or not len(named):
            return
        lowest, highest = int(named.min()), int(named.max())
        sparse = LossFacts.of(self.model, outputs).function == "sparse_categorical_crossentropy"
        refusal = LabelRangeError if sparse else ModelError
        if lowest == 1 and highest == max(outputs, 2):
            raise refusal(
                f"The labels are 1 to {highest}, but the model has {outputs} output{'s' * (outputs > 1)}: classes are "
                "counted from 0. Give y - 1."
            )
        numbers = np.unique(named)
        if highest >= max(outputs, 2) and 2 <= len(numbers) <= max(outputs, 2):
            some = ", ".join(map(str, numbers[:5]))
            listed = numbers.tolist() if len(numbers) <= 10 else "numpy.unique(y)"
            raise refusal(
                f"The labels are {len(numbers)} different numbers up to {highest} ({some}{', ...' * (len(numbers) > 5)}"
                f"), but the model has {outputs} output{'s' * (outputs > 1)}: classes are counted from 0 without gaps. "
                f"Give numpy.searchsorted({listed}, y), for validation too."
            )

    def notes(self, arrays: Arrays) -> tuple[str, ...]:
        """What the user should know of the images beside the built model: their values, layers' ranges, their form.

        Args:
            arrays: all training images, or the first batch.
        """
        return (
            *_scale_notes(self.model, arrays),
            *_augmentation_notes(self.model, arrays),
            *_form_notes(arrays.images, arrays.class_indices),
        )


def _form_notes(images: Array, labels: Array) -> tuple[str, ...]:
    """Notes on shapes and labels that look like a mistake and need not be one."""
    said = []
    shape = images.shape[1:]
    if len(shape) == 3 and _channels_first(shape) and keras.config.image_data_format() == "channels_last":
        said.append(
            f"The images have the shape {shape}, which looks like channels first, but Keras expects channels last: "
            "x.transpose(0, 2, 3, 1)."
        )
    named = labels[labels >= 0]
    if len(named) and named.min() == 1:
        said.append(
            "No image is of class 0: the labels begin at 1. If they are counted from 1, give y - 1; the model then "
            "needs one output less."
        )
    return tuple(said)


def _input_shape(model: keras.Model) -> Shape | None:
    """The shape of one image as the model's `Input` has it; None where it has none, or several."""
    inputs = getattr(model, "inputs", None)  # a subclass may call a layer of its own so
    if not isinstance(inputs, list | tuple) or len(inputs) != 1:
        return None
    shape = inputs[0].shape
    return None if shape is None else tuple(shape[1:])


def _output_count(model: keras.Model) -> int | None:
    outputs = getattr(model, "outputs", None)
    if isinstance(outputs, list | tuple) and len(outputs) == 1 and len(outputs[0].shape) == 2:
        count = outputs[0].shape[-1]
    else:
        count = getattr((getattr(model, "layers", None) or [None])[-1], "units", None)
    return count if isinstance(count, int) else None


def _takes(expected: Shape, found: Shape) -> bool:
    """Whether Keras takes these images, which may have the axis of a single channel or not."""
    if len(expected) == len(found) + 1 and expected[-1] in (1, None):
        return _takes(expected[:-1], found)
    if len(expected) == len(found) - 1 and found[-1] == 1:
        return _takes(expected, found[:-1])
    return len(expected) == len(found) and all(
        side is None or side == other for side, other in zip(expected, found, strict=True)
    )


def _way_out(expected: Shape, images: Array, labels: Array) -> str:  # noqa: PLR0911 - a remedy for each mistake
    found = images.shape[1:]
    if None in expected:
        return f"Make keras.Input({_written(found)}) its first layer, or resize the images."
    pixels, given = math.prod(side or 1 for side in expected), math.prod(found)
    if len(found) == 3 and _takes(expected, (*found[1:], found[0])):
        return "They are channels first: give x.transpose(0, 2, 3, 1)."
    if len(found) == 1 and given == pixels + 1:
        return _label_column(images, labels)
    if given == pixels and len(expected) == 1:
        return f"Give x.reshape(len(x), -1), or begin the model with keras.Input({_written(found)}) and Flatten()."
    if given == pixels and len(found) == 1:
        return f"Give x.reshape({', '.join(map(str, (-1, *expected)))})."
    if len(found) == 3 and found[-1] in (3, 4) and _takes(expected, found[:-1]):
        colour = _input(found)
        return f"The images are in colour. Give x[..., :3].mean(axis=-1), or make the model take colour: {colour}"
    if len(expected) == 3 and expected[-1] == 3 and _takes(expected[:-1], found[:2]) and found[2:] in ((), (1,)):
        grey = "x" if found[2:] else "x[..., None]"
        return (
            f"The images are grey. Give numpy.repeat({grey}, 3, axis=-1), or make the model take grey: {_input(found)}"
        )
    return f"Resize the images, or make the model take these: {_input(found)}"


def _label_column(images: Array, labels: Array) -> str:
    """The remedy for flat images that are one number too long."""
    for column, rest in ((0, "x[:, 1:]"), (-1, "x[:, :-1]")):
        if len(labels) == len(images) and (images[:, column] == labels).all():
            return f"Column {column} is the label, from which the model would read the answer. Give {rest}."
    return "They have one column more than the model has pixels. Is the label, or a row number, still in it?"


def _channels_first(shape: tuple[int, ...]) -> bool:
    channels, height, width = shape
    return channels in (1, 3) and height == width and height > 4


def _input(shape: Shape) -> str:
    return f"keras.Input({_written(shape)})."


def _written(shape: Shape) -> str:
    return str(tuple(shape))


def _scale_notes(model: keras.Model, arrays: Arrays) -> tuple[str, ...]:
    """Notes on values that train badly."""
    divisor = arrays.scale or 1.0
    lowest, highest = arrays.values.lowest / divisor, arrays.values.highest / divisor
    if lowest == highest:
        return (
            f"All training images are the same: every value is {highest:.3g}. There is nothing to learn from them.",
        )
    reached = _reaching(model, _sample(arrays) / divisor)
    if reached is None:
        return ()
    low, high = (lowest, highest) if not reached.layers else (reached.lowest, reached.highest)
    if high - low <= _TOO_SMALL:
        return (_too_small(reached, (lowest, highest), (low, high), scaled=divisor != 1),)
    normalised = any(isinstance(layer, _NORMALISING) for layer in model.layers)
    if not (normalised or reached.layers) and lowest >= 0 and high > _TOO_LARGE:
        return (
            f"The images are not scaled: values go up to {high:g}. Training works better on values from 0 to 1 (divide "
            f"by {ValueRange.usual_scale(high):g}), and results will differ from the course's.",
        )
    if not normalised and reached.layers and max(high, -low) > _TOO_LARGE_BEHIND:
        return (
            f"The images have values from {lowest:.3g} to {highest:.3g}, and after {reached.named} from {low:.3g} to "
            f"{high:.3g}. That layer is set to images on another scale. Values from about 0 to 1 train better.",
        )
    return ()


def _augmentation_notes(model: keras.Model, arrays: Arrays) -> tuple[str, ...]:
    """Notes on augmentation layers whose `value_range` does not fit the values that reach them."""
    operations = _operations(model)
    met: list[tuple[Any, Array]] = []
    if operations is None:
        return ()
    try:
        _walked(operations, KerasSteps(model).fitted(_sample(arrays) / (arrays.scale or 1.0)), [], met)
    except (ValueError, TypeError, AttributeError, LookupError):  # of shapes or arguments that are unusual
        return ()
    return tuple(
        f"The model's {type(layer).__name__} layer expects values from {layer.value_range[0]:g} to "
        f"{layer.value_range[1]:g}, but images reach it with values from {values.min():.3g} to {values.max():.3g}, so "
        f"it spoils them. Give it value_range=(0, {ValueRange.usual_scale(float(values.max())):g})."
        for layer, values in met
        if (values.max() <= _TOO_LARGE and layer.value_range[1] >= _FAR) or values.max() >= _FAR * layer.value_range[1]
    )


def _too_small(reached: _Reached, before: tuple[float, float], after: tuple[float, float], *, scaled: bool) -> str:
    if before[1] - before[0] <= _TOO_SMALL:
        twice = ", as if they were divided by 255 twice" if before[1] <= 1.01 / 255 else ""
        factor = 255 if twice else round(1 / max(before[1] - before[0], 1e-9), 3)
        return (
            f"The training images are nearly black: their values go from {before[0]:.3g} to {before[1]:.3g}{twice}. A "
            f"model learns little from that. Multiply by {factor:g}, so that values go from 0 to 1."
        )
    way_out = (
        "A dataset's images are divided by its scale already. Remove the layer, or give the raw pixels: "
        "fit(model, data.train.images, data.train.labels)"
        if scaled
        else "Remove the layer, or give images as it expects them"
    )
    return (
        f"The images are scaled twice: their values go from {before[0]:.3g} to {before[1]:.3g}, and after "
        f"{reached.named} from {after[0]:.3g} to {after[1]:.3g}. A model learns little from that. {way_out}."
    )


def _sample(arrays: Arrays) -> Array:
    """Some images, among them those with the largest and the smallest value."""
    images = arrays.images
    size = int(np.prod(images.shape[1:]))
    extreme = [place // size for place in arrays.extremes]
    some = images[:: max(1, len(images) // _LOOKED_AT)]
    return np.concatenate([some, images[extreme]]).astype(np.float64)


@dataclass(frozen=True)
class _Reached:
    """The values that reach the first layer with weights, and the layers that changed them on the way."""

    lowest: float
    highest: float
    layers: tuple[str, ...]

    @property
    def named(self) -> str:
        """The layers, for a message."""
        return f"the model's {word_list(self.layers)}"


def _reaching(model: keras.Model, images: Array) -> _Reached | None:
    """The values that reach the first weights; None where the model normalises, or its layers cannot be followed."""
    operations = _operations(model)
    if operations is None:
        known = not any(isinstance(layer, _SCALING) for layer in model._flatten_layers())
        return _Reached(float(images.min()), float(images.max()), ()) if known else None
    names: list[str] = []
    try:
        values, stopped = _walked(operations, KerasSteps(model).fitted(images), names)
    except (ValueError, TypeError, AttributeError, LookupError):  # of shapes or arguments that are unusual
        return None
    if isinstance(stopped, _NORMALISING) or not np.isfinite(values).all():
        return None
    inner = stopped._flatten_layers(include_self=True) if isinstance(stopped, keras.layers.Layer) else ()
    if not getattr(stopped, "weights", None) or any(isinstance(layer, _SCALING) for layer in inner):
        return None
    return _Reached(float(values.min()), float(values.max()), tuple(names))


def _operations(model: Any) -> list[Any] | None:
    """The operations of a model in their order; None where only its own code knows it."""
    functional = getattr(model, "_functional", None) or model
    operations = getattr(functional, "operations", None)
    return None if operations is None else list(operations)


def _walked(
    operations: Iterable[Any], values: Array, names: list[str], met: list[tuple[Any, Array]] | None = None
) -> tuple[Array, Any]:
    """The values before the first operation that does more than scale them, and that operation; None at the end."""
    for operation in operations:
        inner = _operations(operation) if isinstance(operation, keras.Model) else None
        if inner is not None:
            values, stopped = _walked(inner, values, names, met)
            if stopped is not None:
                return values, stopped
        elif isinstance(operation, _SETTING_VALUES):
            if met is not None:
                met.append((operation, values))
        elif isinstance(operation, _PASSIVE) or type(operation).__name__.startswith("Random"):
            continue
        else:
            scaled = _scaled(operation, values)
            if scaled is None:
                return values, operation
            names.append(f"{type(operation).__name__} layer" if hasattr(operation, "weights") else "arithmetic")
            values = scaled
    return values, None


def _scaled(operation: Any, values: Array) -> Array | None:
    """The values after an operation that only scales; None for any other."""
    if isinstance(operation, keras.layers.Rescaling):
        return np.asarray(values * np.asarray(operation.scale) + np.asarray(operation.offset))
    if isinstance(operation, keras.layers.Normalization) and not operation.invert:
        deviation = np.sqrt(np.asarray(operation.variance, np.float64))
        return np.asarray((values - np.asarray(operation.mean)) / np.maximum(deviation, keras.config.epsilon()))
    function = _ARITHMETIC.get(type(operation).__name__)
    if function is None:
        return None
    first, second = operation._inbound_nodes[0].arguments.args
    if not isinstance(first, keras.KerasTensor):
        return np.asarray(function(np.asarray(first), values))
    return None if isinstance(second, keras.KerasTensor) else np.asarray(function(values, np.asarray(second)))
