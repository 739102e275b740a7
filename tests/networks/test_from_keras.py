"""Each layer of Keras as a graph: onnxruntime, LiteRT and OpenCV make of it what Keras makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers, ops

from fittingroom.errors import ModelError
from fittingroom.exports.tflite_operators import to_tflite
from fittingroom.exports.tflite_runtime import answer_of
from fittingroom.networks.from_keras import graph_of_model
from fittingroom.networks.graph import Graph
from fittingroom.networks.numpy_network import NumpyNetwork
from fittingroom.networks.onnx_writer import onnx_bytes, to_onnx

MAPS, ROWS, ROW = (9, 8, 4), (9, 4), (6,)


def answers(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What onnxruntime makes of images."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_bytes(to_onnx(graph)), options, providers=["CPUExecutionProvider"])
    (output,) = session.run(["output"], {"images": images})
    return np.asarray(output)


def opencv_answers(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What OpenCV makes of images."""
    network = cv2.dnn.readNetFromONNX(np.frombuffer(onnx_bytes(to_onnx(graph)), np.uint8))
    network.setInput(images, "images")
    return np.asarray(network.forward("output")).reshape(-1, *graph.shape_of(graph.outputs["output"]))


def litert_answers(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What LiteRT makes of images."""
    return answer_of(to_tflite(graph, ["output"]).file(), "output")(images)


def numpy_answers(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What NumPy makes of images, where it can: a graph with layers that it has not answers by onnxruntime."""
    return NumpyNetwork(graph, "output")(images) if NumpyNetwork.knows(graph) else answers(graph, images)


def with_values(model: keras.Model) -> keras.Model:
    """The model with weights that are neither zeros nor ones: biases, variances."""
    random = np.random.default_rng(1)
    for layer in model._flatten_layers():
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            if np.asarray(variable.value).dtype.kind == "f":
                signs = random.choice([1] if "variance" in variable.name else [1, -1], variable.shape)
                variable.assign(signs * random.uniform(0.1, 0.9, variable.shape))
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def assert_equal(model: keras.Model, *, tolerance: float = 1e-5) -> Graph:
    """Keras and three runtimes give the same answers for three images; the graph."""
    images = np.random.default_rng(2).normal(0.3, 1.5, (3, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(with_values(model)(images, training=False))
    graph = graph_of_model(model)
    assert graph.shape_of(graph.outputs["output"]) == expected.shape[1:]
    size = max(1.0, float(np.abs(expected).max()))
    for runtime in (answers, litert_answers, opencv_answers, numpy_answers):
        np.testing.assert_allclose(runtime(graph, images), expected, atol=tolerance * size, err_msg=runtime.__name__)
    return graph


def through(*chain: Any, shape: tuple[int, ...] = MAPS) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *chain])


TRANSPOSED = (
    ("same", 3, 2, None),
    ("valid", (3, 2), (2, 3), None),
    ("valid", 2, 3, None),
    ("same", 2, 1, None),
    ("same", 4, 3, 1),
    ("valid", 3, 2, 1),
)


def transposed(padding: str, size: Any, stride: Any, more: int | None) -> keras.Model:
    return through(layers.Conv2DTranspose(3, size, stride, padding=padding, output_padding=more))


LAYERS: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: through(layers.Dense(5, activation="relu"), shape=ROW),
    "dense on maps": lambda: through(layers.Conv2D(3, 1), layers.Dense(5, use_bias=False), layers.Dense(2)),
    "convolution": lambda: through(layers.Conv2D(6, (3, 2), strides=(2, 1), padding="same", activation="tanh")),
    "dilated groups": lambda: through(layers.Conv2D(6, 3, dilation_rate=2, groups=2, padding="same", use_bias=False)),
    "one dimension": lambda: through(
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2),
        layers.MaxPooling1D(3, 2, padding="same"),
        layers.ZeroPadding1D((1, 2)),
        layers.SeparableConv1D(4, 2),
        layers.DepthwiseConv1D(2),
        layers.Cropping1D((1, 0)),
        layers.UpSampling1D(2),
        layers.Conv1DTranspose(3, 2, strides=2),
        layers.AveragePooling1D(2),
        layers.GlobalAveragePooling1D(),
        shape=ROWS,
    ),
    "depthwise": lambda: through(layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)),
    "separable": lambda: through(layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="sigmoid")),
    **{f"transposed {given}": partial(transposed, *given) for given in TRANSPOSED},
    "transposed, dilated": lambda: through(layers.Conv2DTranspose(3, 3, dilation_rate=2, padding="same")),
    "pooling": lambda: through(
        layers.MaxPooling2D(3, strides=2, padding="same"), layers.AveragePooling2D((2, 3), 1, padding="same")
    ),
    "pooling, valid": lambda: through(layers.AveragePooling2D((2, 1)), layers.MaxPooling2D(2)),
    "global": lambda: through(layers.GlobalMaxPooling2D(keepdims=True), layers.GlobalAveragePooling2D()),
    "batch norm": lambda: through(
        layers.BatchNormalization(),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Conv2DTranspose(3, 3),
        layers.BatchNormalization(axis=2),
        layers.Flatten(),
        layers.Dense(7),
        layers.BatchNormalization(center=False, epsilon=0.1),
    ),
    "layer norm": lambda: through(
        layers.LayerNormalization(), layers.LayerNormalization(axis=[1, 2, 3]), layers.LayerNormalization(axis=1)
    ),
    "group norm": lambda: through(
        layers.GroupNormalization(2), layers.GroupNormalization(-1), layers.GroupNormalization(1, scale=False)
    ),
    "unit norm": lambda: through(
        layers.UnitNormalization(), layers.UnitNormalization(axis=[1, 2]), layers.RMSNormalization()
    ),
    "spectral norm": lambda: through(layers.SpectralNormalization(layers.Conv2D(3, 2, name="inner"))),
    "rescaling": lambda: through(layers.Rescaling([0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]), layers.Rescaling(2.0, 1.0)),
    "normalization": lambda: through(
        layers.Normalization(), layers.Normalization(axis=(1, 3)), layers.Normalization(axis=None)
    ),
    "normalization, given": lambda: through(
        layers.Normalization(mean=[1.0, 2, 3, 4], variance=[0.5, 1, 2, 3]),
        layers.Normalization(mean=1.0, variance=0.0, axis=None, invert=True),
    ),
    "reshape": lambda: through(
        layers.Reshape((8, -1, 4)),
        layers.Permute((3, 1, 2)),
        layers.Flatten(),
        layers.Dense(3),
        layers.RepeatVector(2),
        layers.Identity(),
    ),
    "padding": lambda: through(
        layers.ZeroPadding2D(((1, 2), (0, 3))), layers.Cropping2D(((1, 0), (2, 1))), layers.ZeroPadding2D(1)
    ),
    "padded convolution": lambda: through(layers.ZeroPadding2D(((0, 1), (1, 0))), layers.Conv2D(3, 3, strides=2)),
    "enlarging": lambda: through(
        layers.UpSampling2D((2, 3)), layers.UpSampling2D(2, interpolation="bilinear"), layers.CenterCrop(20, 21)
    ),
    "resizing": lambda: through(layers.Resizing(13, 17), layers.Resizing(7, 20, interpolation="nearest")),
    "resizing, smaller": lambda: through(layers.Resizing(5, 3)),
    "softmax": lambda: through(layers.Softmax(), layers.Softmax(axis=1), layers.Activation("log_softmax")),
    "activation layers": lambda: through(
        layers.PReLU(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.LeakyReLU(0.1),
        layers.ELU(0.7),
        layers.ReLU(max_value=2, negative_slope=0.1, threshold=0.2),
        layers.Dense(3, activation=layers.PReLU(name="bent")),
    ),
    "recurrent": lambda: through(
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Bidirectional(layers.GRU(2, reset_after=False, return_sequences=True), merge_mode="sum"),
        layers.GRU(4, return_sequences=True, go_backwards=True),
        layers.SimpleRNN(3),
        shape=(4, 3),
    ),
    "nothing": lambda: through(
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.GaussianNoise(0.5),
        layers.GaussianDropout(0.5),
        layers.AlphaDropout(0.5),
        layers.ActivityRegularization(0.1),
        layers.RandomFlip(),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomShear(0.1, 0.1),
        layers.RandomContrast(0.1),
        layers.RandomBrightness(0.1),
        layers.RandomErasing(),
        layers.RandomInvert(),
        layers.RandomGaussianBlur(),
        layers.RandomPosterization(4),
        layers.GlobalAveragePooling2D(),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_keras_gives(name: str) -> None:
    assert_equal(LAYERS[name]())


ACTIVATIONS = (
    *(
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "celu",
        "softplus",
        "softsign",
        "sigmoid",
    ),
    *("tanh", "exponential", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "mish", "tanh_shrink", "glu"),
    *("soft_shrink", "squareplus", "sparse_sigmoid", "softmax", "log_softmax"),
)


def test_activations_give_what_keras_gives() -> None:
    images = keras.Input(MAPS)
    each = [layers.Activation(name)(images) for name in ACTIVATIONS]
    more = [keras.activations.gelu(images, approximate=True), keras.activations.relu(images, 0.1, 3.0, 0.5)]
    assert_equal(keras.Model(images, layers.Concatenate()([*each, *more])))


def merged() -> keras.Model:
    """Branches, a model within used twice, one within that."""
    images = keras.Input(MAPS)
    inside = keras.Input(MAPS)
    deepest = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()], name="deepest")
    inner = keras.Model(inside, layers.Add()([deepest(inside), inside]), name="inner")
    once = inner(images)
    twice = inner(once)
    values = [
        layers.Add()([images, once, twice]),
        layers.Multiply()([once, twice]),
        layers.Average()([images, once, twice]),
        layers.Maximum()([images, once]),
        layers.Minimum()([once, twice]),
        layers.Subtract()([images, twice]),
    ]
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(once))
    return keras.Model(images, [layers.Multiply()([layers.Concatenate(axis=2)(values), gate])])


def test_branches_and_models_within_models_give_what_keras_gives() -> None:
    graph = assert_equal(merged())
    kernels = {id(each.weights["kernel"]) for each in graph.operations if each.kind == "convolution"}
    assert len(kernels) == 1, "one convolution is used twice, with its normalisation folded in"
    assert not any(each.kind == "scale" for each in graph.operations)


def operations(images: Any) -> Any:
    """Many operations of `keras.ops`."""
    value = ops.floor(ops.flip(images, axis=2) * np.array([1.0, 2, 3, 4], "float32") + 0.5) - images
    value = 2 - value / 4
    value = ops.clip(value, -1.5, 6) + 1 / (ops.abs(images) + 1) + images / (ops.square(value) + 2)
    value = ops.concatenate([value, ops.relu(images), ops.exp(-images) ** 2], axis=-1)
    value = ops.maximum(value, 0.1) * ops.minimum(value, 3)
    value = value[:, 1:7, :, 2] + ops.mean(value, axis=-1)[:, 1:7] - ops.amax(value, axis=3)[..., None][:, 2:8, ..., 0]
    value = ops.pad(value, [[0, 0], [1, 0], [0, 2]])
    value = ops.stack([value, ops.ceil(value), ops.std(value, axis=1, keepdims=True) + value], axis=1)
    value = ops.swapaxes(ops.transpose(value, (0, 2, 1, 3)), 1, 2)
    value = ops.reshape(value, (-1, 21, 10)) + ops.zeros((1, 21, 10))
    value = ops.matmul(value, ops.transpose(value, (0, 2, 1)))
    value = ops.squeeze(ops.expand_dims(ops.sum(value, axis=1), 1), 1) / 100
    return ops.softmax(value) - ops.rsqrt(ops.min(value, axis=-1, keepdims=True) ** 2 + ops.var(value, -1, True))


def test_operations_give_what_keras_gives() -> None:
    images = keras.Input(MAPS)
    assert_equal(keras.Model(images, operations(images)))


def test_bytes_are_the_same_every_time_and_images_may_be_bytes() -> None:
    model = with_values(through(layers.Rescaling(1 / 255), layers.Conv2D(3, 3), layers.Flatten(), shape=(9, 9, 1)))
    graph = graph_of_model(model, image_type="uint8")
    assert onnx_bytes(to_onnx(graph, metadata={"b": "2", "a": "1"})) == onnx_bytes(
        to_onnx(graph_of_model(model, image_type="uint8"), metadata={"b": "2", "a": "1"})
    )
    images = np.random.default_rng(3).integers(0, 256, (5, 9, 9, 1), dtype=np.uint8)
    np.testing.assert_allclose(answers(graph, images), model(images.astype(np.float32)), atol=1e-5)
    assert answers(graph, images[:0]).shape == (0, 147)


class Gated(layers.Layer):
    """A layer of the user's own: weights of its own, a layer within, a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = layers.Dense(4, activation="gelu")

    def build(self, shape: tuple[int, ...]) -> None:
        self.gate = self.add_weight(shape=(shape[-1], 4), name="gate")
        self.inner.build(shape)

    def call(self, inputs: Any) -> Any:
        self.add_loss(ops.mean(inputs))
        return self.inner(inputs) * ops.sigmoid(ops.matmul(inputs, self.gate)) + self.gate[0]


class Attentive(keras.Model):
    """A model as code: attention over the rows of an image, and what its own layer makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = layers.Reshape((9, 32))
        self.attention = layers.MultiHeadAttention(2, 3, dropout=0.5)
        self.causal = layers.MultiHeadAttention(2, 3)
        self.projection = layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")
        self.gated = [Gated(), Gated()]
        self.dropout = layers.Dropout(0.5)

    def call(self, images: Any, training: bool | None = None) -> Any:
        rows = self.rows(images)
        rows = rows + self.attention(rows, rows, training=training)
        rows = rows + self.causal(rows, rows, use_causal_mask=True)
        value = self.projection(self.dropout(rows, training=training))
        for layer in self.gated:
            value = layer(value)
        weights = ops.einsum("abc,adc->adb", value, value)
        return ops.mean(weights, axis=1) + ops.max(value, axis=(1, 2))[:, None]


def test_models_and_layers_as_code_are_followed() -> None:
    model = Attentive()
    images = np.random.default_rng(4).normal(0, 1, (2, *MAPS)).astype(np.float32)
    model(images)
    expected = np.asarray(with_values(model)(images, training=False))
    np.testing.assert_allclose(answers(graph_of_model(model, image_shape=MAPS), images), expected, rtol=1e-4)
    assert_equal(
        through(layers.Reshape((72, 4)), layers.Dense(4), Gated(), layers.Lambda(lambda rows: ops.flip(rows, 1)))
    )


class Unknown(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return ops.sort(inputs)


class AlwaysDropped(layers.Dropout):
    def call(self, inputs: Any, training: bool = False) -> Any:
        del training
        return super().call(inputs, training=True)


def as_numbers(images: Any) -> Any:
    return np.asarray(images) + 1


def refused() -> dict[str, tuple[keras.Model, str]]:
    images = keras.Input(MAPS)
    return {
        "class": (
            through(Unknown(name="mine")),
            "'mine' \\(Unknown\\) .*it calls sort.* \\(ops.Sort\\), which",
        ),
        "volumes": (through(layers.Reshape((9, 8, 4, 1)), layers.Conv3D(2, 2, name="deep")), "'deep' \\(Conv3D\\)"),
        "at random": (through(AlwaysDropped(0.5, name="drops")), "'drops' \\(AlwaysDropped\\)"),
        "lambda": (through(layers.Lambda(as_numbers, name="odd")), "'odd' \\(Lambda\\)"),
        "method": (through(layers.Resizing(3, 3, "bicubic", name="smaller")), "'smaller' \\(Resizing\\).*bicubic"),
        "activation": (through(layers.Dense(3, activation="sparsemax", name="sums")), "'sums' \\(Dense\\).*sparsemax"),
        "operation": (keras.Model(images, ops.sort(images)), "'sort.*' \\(ops.Sort\\)"),
    }


def test_what_a_graph_cannot_hold_is_refused_by_name_and_class() -> None:
    for model, message in refused().values():
        with pytest.raises(ModelError, match=f"The layer {message}"):
            graph_of_model(model)
