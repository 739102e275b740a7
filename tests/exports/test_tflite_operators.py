"""What each kind of a network's operations is in LiteRT, against Keras and NumPy: for one image and for several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from fittingroom.errors import ModelError
from fittingroom.exports.tflite_operators import to_tflite
from fittingroom.exports.tflite_runtime import answer_of
from fittingroom.networks.graph import Graph, Operation

Array = np.ndarray[Any, Any]
Reference = Callable[[Array], Any]

RANDOM = np.random.default_rng(3)
IMAGE = (5, 4, 3)


def some(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def numbers(value: Any) -> Array:
    return np.asarray(value, np.float32)


def operation(
    kind: str,
    shape: tuple[int, ...],
    inputs: tuple[str, ...] = ("images",),
    weights: dict[str, Any] | None = None,
    output: str = "result",
    **options: Any,
) -> Operation:
    kept = {name: numbers(value) for name, value in (weights or {}).items()}
    return Operation(kind, inputs, output, shape, options, kept, "a layer")


def assert_is(
    reference: Reference, *operations: Operation, image: tuple[int, ...] = IMAGE, image_type: Any = "float32"
) -> None:
    """The last operation gives what the reference does, whether images come one by one or together."""
    images = some(3, *image) if image_type == "float32" else RANDOM.integers(0, 256, (3, *image)).astype(np.uint8)
    graph = Graph(image, image_type, operations, {"y": operations[-1].output})
    answer = answer_of(to_tflite(graph, ["y"]).file(), "y")
    expected = np.asarray(reference(images.astype(np.float32)))
    for found in (answer(images), np.concatenate([answer(images[place : place + 1]) for place in range(3)])):
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-5)


def test_images_are_scaled_as_they_are_stored() -> None:
    scaled = operation("scale", (28, 28), weights={"scale": 1 / 255, "offset": -0.5})
    assert_is(lambda x: x / 255 - 0.5, scaled, image=(28, 28), image_type="uint8")
    channels = operation("scale", IMAGE, weights={"scale": [1, 2, 3], "offset": [0, 1, 0]})
    assert_is(lambda x: x * [1, 2, 3] + [0, 1, 0], channels)


@pytest.mark.parametrize("axes", [(), (5,), (2, 5)])
def test_dense_layers_work_along_the_last_axis(axes: tuple[int, ...]) -> None:
    kernel, bias = some(7, 4), some(4)
    with_bias = operation("dense", (*axes, 4), weights={"kernel": kernel, "bias": bias})
    assert_is(lambda x: x @ kernel + bias, with_bias, image=(*axes, 7))
    assert_is(lambda x: x @ kernel, operation("dense", (*axes, 4), weights={"kernel": kernel}), image=(*axes, 7))


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "size", "strides", "dilation", "padding"),
    [
        (3, 8, 1, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
        (3, 8, 1, (3, 2), (2, 2), (1, 1), ((1, 1), (0, 0))),
        (3, 8, 1, (3, 3), (2, 2), (1, 1), ((0, 1), (0, 1))),  # Keras's `same`
        (3, 8, 1, (3, 3), (2, 2), (1, 1), ((1, 1), (1, 1))),  # PyTorch's
        (4, 8, 1, (3, 3), (1, 1), (2, 2), ((2, 2), (2, 2))),
        (4, 8, 2, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
        (4, 4, 4, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
        (4, 8, 4, (3, 3), (1, 1), (2, 2), ((0, 0), (0, 0))),
        (4, 8, 4, (3, 3), (2, 2), (1, 1), ((2, 1), (0, 1))),
        (1, 8, 1, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
    ],
)
def test_convolutions_of_every_padding(
    channels: int, filters: int, groups: int, size: Any, strides: Any, dilation: Any, padding: Any
) -> None:
    kernel, bias = some(*size, channels // groups, filters), some(filters)

    def reference(images: Array) -> Any:
        padded = np.pad(images, [(0, 0), *padding, (0, 0)])
        return keras.ops.conv(padded, kernel, strides, "valid", dilation_rate=dilation) + bias

    shape = (*np.shape(reference(np.zeros((1, 9, 8, channels), np.float32)))[1:3], filters)
    options = {"strides": strides, "dilation": dilation, "padding": padding, "groups": groups}
    weights = {"kernel": kernel, "bias": bias}
    assert_is(reference, operation("convolution", shape, weights=weights, **options), image=(9, 8, channels))


@pytest.mark.parametrize(
    ("strides", "cut"), [((1, 1), ((1, 1), (1, 1))), ((2, 2), ((0, 1), (1, 0))), ((3, 2), ((0, 0), (0, 0)))]
)
def test_transposed_convolutions(strides: tuple[int, int], cut: Any) -> None:
    kernel, bias = some(3, 3, 6, 4), some(6)
    full = [(side - 1) * stride + 3 for side, stride in zip((7, 6), strides, strict=True)]
    (top, bottom), (left, right) = cut
    shape = (full[0] - top - bottom, full[1] - left - right, 6)

    def reference(images: Array) -> Any:
        whole = keras.ops.conv_transpose(images, kernel, strides, "valid")
        return whole[:, top : full[0] - bottom, left : full[1] - right] + bias

    weights = {"kernel": kernel, "bias": bias}
    layer = operation("transposed_convolution", shape, weights=weights, strides=strides, cut=cut)
    assert_is(reference, layer, image=(7, 6, 4))


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [
        (2, 2, ((0, 0), (0, 0))),
        (3, 2, ((1, 1), (1, 1))),
        (3, 1, ((1, 1), (1, 1))),
        (2, 2, ((0, 1), (0, 1))),
        (3, 2, ((0, 2), (2, 0))),
    ],
)
def test_pooling_counts_what_lies_in_the_image(kind: str, size: int, strides: int, padding: Any) -> None:
    def reference(images: Array) -> Any:
        border = -np.inf if kind == "max" else 0
        padded = np.pad(images, [(0, 0), *padding, (0, 0)], constant_values=border)
        if kind == "max":
            return keras.ops.max_pool(padded, size, strides, "valid")
        inside = np.pad(np.ones_like(images), [(0, 0), *padding, (0, 0)])
        mean, share = (keras.ops.average_pool(each, size, strides, "valid") for each in (padded, inside))
        return mean / share

    shape = np.shape(reference(np.zeros((1, 9, 9, 3), np.float32)))[1:]
    options = {"size": (size, size), "strides": (strides, strides), "padding": padding}
    assert_is(reference, operation(f"{kind}_pool", shape, **options), image=(9, 9, 3))


def test_means_and_maxima_over_axes() -> None:
    assert_is(lambda x: x.mean((1, 2)), operation("mean", (3,), axes=[0, 1], keepdims=False))
    assert_is(lambda x: x.mean((1, 2), keepdims=True), operation("mean", (1, 1, 3), axes=[0, 1], keepdims=True))
    assert_is(lambda x: x.max(-1), operation("max", (5, 4), axes=[-1], keepdims=False))


ACTIVATIONS: list[tuple[str, dict[str, Any], Reference]] = [
    ("relu", {}, keras.activations.relu),
    ("relu", {"max_value": 6.0}, keras.activations.relu6),
    ("relu", {"max_value": 1.0}, lambda x: keras.activations.relu(x, max_value=1.0)),
    ("relu", {"negative_slope": 0.1, "max_value": None, "threshold": 0.0}, lambda x: np.where(x > 0, x, 0.1 * x)),
    (
        "relu",
        {"negative_slope": 0.1, "max_value": 1.2, "threshold": 0.5},
        lambda x: keras.activations.relu(x, 0.1, 1.2, 0.5),
    ),
    ("elu", {"alpha": 1.0}, keras.activations.elu),
    ("elu", {"alpha": 0.5}, lambda x: keras.activations.elu(x, 0.5)),
    ("gelu", {"approximate": True}, lambda x: keras.activations.gelu(x, True)),
    ("gelu", {"approximate": False}, keras.activations.gelu),
    ("hard_silu", {}, keras.activations.hard_silu),
    ("square", {}, np.square),
    ("negative", {}, np.negative),
    ("reciprocal", {}, np.reciprocal),
    *(
        (name, {}, getattr(keras.activations, name))
        for name in (
            *("sigmoid", "tanh", "exponential", "selu", "silu", "softplus", "softsign"),
            *("hard_sigmoid", "log_sigmoid"),
        )
    ),
]


@pytest.mark.parametrize(
    ("name", "options", "reference"), ACTIVATIONS, ids=[f"{name} {options}" for name, options, _ in ACTIVATIONS]
)
def test_activations(name: str, options: dict[str, Any], reference: Reference) -> None:
    assert_is(lambda x: reference(keras.ops.convert_to_tensor(x)), operation("activation", IMAGE, name=name, **options))


def test_roots_logarithms_and_half_floats() -> None:
    square = operation("activation", IMAGE, output="square", name="square")
    assert_is(np.abs, square, operation("activation", IMAGE, ("square",), name="sqrt"))
    assert_is(lambda x: np.log(x * x), square, operation("activation", IMAGE, ("square",), name="log"))
    assert_is(lambda x: x.astype(np.float16), operation("float16", IMAGE))


def test_softmax_and_means_of_probabilities() -> None:
    softmax = operation("softmax", IMAGE)
    assert_is(keras.ops.softmax, softmax)
    assert_is(keras.ops.log_softmax, operation("log_softmax", IMAGE))
    other = operation("scale", IMAGE, output="other", weights={"scale": 2, "offset": 1})
    mean = operation("log_mean_exp", IMAGE, ("images", "other"))
    assert_is(lambda x: np.log((np.exp(x) + np.exp(2 * x + 1)) / 2), other, mean)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3,), IMAGE])
def test_slopes_that_were_learned(shape: tuple[int, ...]) -> None:
    alpha = some(*shape)
    assert_is(lambda x: np.where(x > 0, x, alpha * x), operation("prelu", IMAGE, weights={"alpha": alpha}))


def test_values_that_meet() -> None:
    constant = some(*IMAGE)
    before = (
        operation("scale", IMAGE, output="double", weights={"scale": 2, "offset": 1}),
        operation("mean", (3,), output="mean", axes=[0, 1], keepdims=False),
        operation("constant", IMAGE, (), {"value": constant}, "constant"),
    )

    def met(kind: str, *values: str, **options: Any) -> tuple[Operation, ...]:
        shape = (5, 4, 6) if kind == "concatenate" else IMAGE
        return (*before, operation(kind, shape, values, **options))

    assert_is(lambda x: 3 * x + 1, *met("add", "images", "double"))
    assert_is(lambda x: 3 * x + 1 + x.mean((1, 2), keepdims=True), *met("add", "images", "double", "mean"))
    assert_is(lambda x: x * constant, *met("multiply", "images", "constant"))
    assert_is(lambda x: x + 1, *met("subtract", "double", "images"))
    assert_is(lambda x: np.maximum(x, 2 * x + 1), *met("maximum", "double", "images"))
    assert_is(lambda x: np.minimum(x, 2 * x + 1), *met("minimum", "double", "images"))
    assert_is(lambda x: (3 * x + 1) / 2, *met("average", "double", "images"))
    assert_is(lambda x: np.concatenate([2 * x + 1, x], -1), *met("concatenate", "double", "images", axis=-1))
    assert_is(
        lambda x: np.concatenate([x, np.broadcast_to(constant, x.shape)], -1),
        *met("concatenate", "images", "constant", axis=-1),
    )


def test_shapes_and_places() -> None:
    assert_is(lambda x: x.reshape(-1, 60), operation("reshape", (60,)))
    assert_is(lambda x: x.transpose(0, 3, 1, 2), operation("transpose", (3, 5, 4), axes=[2, 0, 1]))
    padding, cropping = [[1, 1], [3, 0], [0, 0]], [[1, 1], [1, 0], [0, 0]]
    assert_is(lambda x: np.pad(x, [(0, 0), *padding]), operation("pad", (7, 7, 3), padding=padding))
    assert_is(lambda x: x[:, 1:-1, 1:], operation("crop", (3, 3, 3), cropping=cropping))
    assert_is(lambda x: x[:, :, ::-1], operation("flip", IMAGE, axis=1))
    assert_is(np.floor, operation("floor", IMAGE))


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(9, 11), (3, 2), (4, 8)])
def test_resizing_as_keras_does(method: str, size: tuple[int, int]) -> None:
    resizing = keras.layers.Resizing(*size, interpolation=method)
    assert_is(resizing, operation("resize", (*size, 3), method=method))


def test_normalised_layers_and_products() -> None:
    gamma, beta = some(3), some(3)

    def reference(images: Array) -> Array:
        centred = images - images.mean(-1, keepdims=True)
        return numbers(centred / np.sqrt(images.var(-1, keepdims=True) + 1e-3) * gamma + beta)

    assert_is(reference, operation("layer_norm", IMAGE, weights={"gamma": gamma, "beta": beta}, epsilon=1e-3))
    assert_is(lambda x: x @ x, operation("matmul", (4, 4), ("images", "images")), image=(4, 4))


def test_what_it_does_not_know_is_refused_by_layer() -> None:
    unknown = Graph(IMAGE, "float32", (operation("fourier", IMAGE),), {"y": "result"})
    with pytest.raises(ModelError, match="layer 'a layer' needs fourier"):
        to_tflite(unknown, ["y"])
    odd = Graph(IMAGE, "float32", (operation("activation", IMAGE, name="sine"),), {"y": "result"})
    with pytest.raises(ModelError, match="layer 'a layer' needs the activation 'sine'"):
        to_tflite(odd, ["y"])
    cubic = Graph(IMAGE, "float32", (operation("resize", (9, 9, 3), method="bicubic"),), {"y": "result"})
    with pytest.raises(ModelError, match="layer 'a layer' needs resizing by 'bicubic'"):
        to_tflite(cubic, ["y"])
