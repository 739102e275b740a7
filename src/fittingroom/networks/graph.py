"""`Graph`: a trained network as plain data, from an array of images to what it says of them.

It is what every export is written from: ONNX, TFLite, the page's JavaScript. It is small on purpose: about thirty kinds
of operation say what the layers of image networks do. Images are the last axes' way round as in Keras, `(n, height,
width, channels)`; the first axis, of the images, is never named, so shapes and axes are those of one image: axis 0 is
its height, and -1 its channels.

All values are float32, except the images themselves. What each kind means:

| kind | inputs | options | weights |
|---|---|---|---|
| `scale` | 1 | | `scale`, `offset`: each of shape `()` or one for each channel; x · scale + offset |
| `dense` | 1 | | `kernel` (in, out), `bias` (out,) or none; along the last axis |
| `convolution` | 1 | `strides`, `dilation` [2], `padding` [[top, bottom], [left, right]], `groups` | `kernel` (height, width, in / groups, out), `bias` or none |
| `transposed_convolution` | 1 | `strides` [2], `cut` [[top, bottom], [left, right]] of the full result | `kernel` (height, width, out, in), `bias` or none |
| `max_pool`, `average_pool` | 1 | `size`, `strides` [2], `padding`; averages count only what lies in the image | |
| `mean`, `max` | 1 | `axes`, `keepdims` | |
| `activation` | 1 | `name` and its parameters, as `keras_activations` has them; `hard_sigmoid` is clip(x / 6 + 0.5, 0, 1) | |
| `prelu` | 1 | | `alpha`, of a shape that broadcasts |
| `softmax`, `log_softmax` (last axis) | 1 | | |
| `log_mean_exp`: ln of the mean of the exponentials | 1 or more | | |
| `add`, `multiply`, `maximum`, `minimum`, `average` | 2 or more | broadcast | |
| `subtract` | 2 | broadcast | |
| `concatenate` | 2 or more | `axis` | |
| `reshape` | 1 | to the operation's `shape` | |
| `transpose` | 1 | `axes` | |
| `pad` | 1 | `padding`: a pair for each axis; zeros | |
| `crop` | 1 | `cropping`: a pair for each axis | |
| `resize` | 1 | `method`: `bilinear` (half-pixel centres, no antialiasing) or `nearest`; to the operation's `shape` | |
| `flip` | 1 | `axis` | |
| `floor` | 1 | | |
| `float16` | 1 | rounded to the nearest number of 16 bits | |
| `layer_norm` | 1 | `epsilon`; over the last axis | `gamma`, `beta` or none |
| `constant` | 0 | | `value` |
| `matmul` | 2 | the last two axes, after the images | |

Batch normalisation is a `scale`, folded into the operation before it where that is linear; dropout and noise are
nothing.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """A step of a network.

    Args:
        kind: what it does, as the table above has it.
        inputs: names of the values that it takes: of the images, or of outputs of operations before it.
        output: name of the value that it gives.
        shape: of that value for one image.
        options: plain JSON.
        weights: float32 arrays by name.
        layer: name of the layer that it belongs to, for messages.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    layer: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Args:
        image_shape: of one image, `(height, width)`, `(height, width, channels)`, or any other that it takes.
        image_type: of the images as they are given.
        operations: in an order in which each finds its inputs; the images are called `images`.
        outputs: what is asked of it: name -> value.
    """

    image_shape: tuple[int, ...]
    image_type: Literal["uint8", "float32"]
    operations: tuple[Operation, ...]
    outputs: Mapping[str, str]

    def shape_of(self, value: str) -> tuple[int, ...]:
        """The shape of a value for one image.

        Raises:
            KeyError: there is no such value.
        """
        if value == "images":
            return self.image_shape
        return {operation.output: operation.shape for operation in self.operations}[value]
