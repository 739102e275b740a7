"""The last blocks of a network as a Keras model, or all of it, to be trained."""

from __future__ import annotations

from typing import Literal

import keras

from fittingroom.backbones.inverted_residuals import (
    NORM_EPSILON,
    PIXEL_OFFSET,
    PIXEL_SCALE,
    Block,
    Convolution,
    Network,
)


def build_tail(network: Network, unfreeze: int | Literal["all"], *, pooled: bool = True) -> keras.Model:
    """The last blocks and the pooling, with zeros for kernels.

    Random numbers for them, which are replaced at once, would take JAX ten seconds.

    Convolutions are trainable. Batch normalisation is not, so it uses its moving statistics in training too.

    Args:
        network: the network.
        unfreeze: how many of the last blocks; "all" begins with pixels (0 to 255).
        pooled: whether the mean over the places follows.
    """
    everything = unfreeze == "all"
    count = len(network.blocks) if unfreeze == "all" else unfreeze
    shape = (network.input_size, network.input_size, 3) if everything else network.shape_before(count)
    inputs = keras.Input(shape, name="images" if everything else "maps")
    value = inputs
    if everything:
        value = keras.layers.Rescaling(1 / PIXEL_SCALE, -PIXEL_OFFSET / PIXEL_SCALE, name="pixels")(value)
    for block in network.blocks[len(network.blocks) - count :]:
        value = _block(block, value)
    if pooled:
        value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    return keras.Model(inputs, value, name="backbone")


def _block(block: Block, value: keras.KerasTensor) -> keras.KerasTensor:
    before = value
    for convolution in block.convolutions:
        value = _convolution(convolution, value)
    name = block.convolutions[-1].name.partition("_")[0]
    return keras.layers.Add(name=f"{name}_add")([before, value]) if block.residual else value


def _convolution(convolution: Convolution, value: keras.KerasTensor) -> keras.KerasTensor:
    settings = {"padding": "same", "use_bias": False, "strides": convolution.stride}
    name = f"{convolution.name}_conv"
    if convolution.depthwise:
        layer = keras.layers.DepthwiseConv2D(convolution.kernel, depthwise_initializer="zeros", name=name, **settings)
    else:
        layer = keras.layers.Conv2D(
            convolution.channels[1], convolution.kernel, kernel_initializer="zeros", name=name, **settings
        )
    norm = keras.layers.BatchNormalization(epsilon=NORM_EPSILON, name=f"{convolution.name}_norm", trainable=False)
    value = norm(layer(value))
    return keras.layers.ReLU(6, name=f"{convolution.name}_relu")(value) if convolution.activation else value
