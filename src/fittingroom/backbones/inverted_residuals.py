"""EfficientNet-Lite0 as plain data: the convolutions of its blocks, from which ONNX and Keras models are made.

The network: Tan and Le 2019 (arXiv 1905.11946), without squeeze-and-excitation and with ReLU6, as Google published it
in 2020 as EfficientNet-Lite. Blocks of inverted residuals: Sandler et al. 2018 (arXiv 1801.04381).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

NORM_EPSILON = 1e-3
PIXEL_OFFSET = 127.0
PIXEL_SCALE = 128.0
"""A pixel of 0 to 255 becomes (pixel - PIXEL_OFFSET) / PIXEL_SCALE."""

_NORM_PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@dataclass(frozen=True)
class Convolution:
    """A convolution with TensorFlow's "same" padding, then batch normalisation, then ReLU6 if `activation`.

    Args:
        name: `block3_expand`, for example; its layers are `block3_expand_conv` and `block3_expand_norm`.
        torch_names: of the convolution and of the batch normalisation in the PyTorch weights.
        kernel: side of the kernel.
        stride: 1 or 2.
        channels: of its input and of its output.
        depthwise: whether each channel is filtered alone.
        activation: whether ReLU6 follows.
    """

    name: str
    torch_names: tuple[str, str]
    kernel: int
    stride: int
    channels: tuple[int, int]
    depthwise: bool = False
    activation: bool = True

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """In Keras's order: height, width, channels in, channels out (or 1 for depthwise)."""
        return (self.kernel, self.kernel, self.channels[0], 1 if self.depthwise else self.channels[1])


@dataclass(frozen=True)
class Block:
    """Convolutions one after the other; a residual one adds its input to its output."""

    convolutions: tuple[Convolution, ...]
    residual: bool = False


@dataclass(frozen=True)
class Network:
    """Blocks one after the other, then the mean over the places, then a classifier.

    Args:
        input_size: height and width of the images.
        blocks: in order; the first takes normalised pixels.
        classes: of the classifier.
    """

    input_size: int
    blocks: tuple[Block, ...]
    classes: int

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """All of them, in order."""
        return tuple(convolution for block in self.blocks for convolution in block.convolutions)

    @property
    def features(self) -> int:
        """How many pooled features an image has."""
        return self.convolutions[-1].channels[1]

    def shape_before(self, unfreeze: int) -> tuple[int, int, int]:
        """Height, width and channels of the maps that the last `unfreeze` blocks take."""
        side = self.input_size
        before = self.blocks[: len(self.blocks) - unfreeze]
        for convolution in (each for block in before for each in block.convolutions):
            side = -(-side // convolution.stride)
        rest = self.blocks[len(before) :]
        return side, side, rest[0].convolutions[0].channels[0] if rest else self.features

    def from_torch(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Weights by the names and in the layout of Keras, from those of PyTorch.

        Raises:
            KeyError: one is missing.
            ValueError: one has another shape.
        """
        weights = {}
        for convolution in self.convolutions:
            conv, norm = convolution.torch_names
            order = (2, 3, 0, 1) if convolution.depthwise else (2, 3, 1, 0)
            weights[f"{convolution.name}_conv/kernel"] = tensors[f"{conv}.weight"].transpose(order)
            for ours, theirs in _NORM_PARTS.items():
                weights[f"{convolution.name}_norm/{ours}"] = tensors[f"{norm}.{theirs}"]
        weights["classifier/kernel"] = tensors["_fc.weight"].T
        weights["classifier/bias"] = tensors["_fc.bias"]
        shapes = dict(self.weight_shapes())
        wrong = [name for name, array in weights.items() if array.shape != shapes[name]]
        if wrong:
            raise ValueError(f"{wrong[0]} has the shape {weights[wrong[0]].shape}, not {shapes[wrong[0]]}")
        return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}

    def weight_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of each weight."""
        for convolution in self.convolutions:
            yield f"{convolution.name}_conv/kernel", convolution.kernel_shape
            for part in _NORM_PARTS:
                yield f"{convolution.name}_norm/{part}", (convolution.channels[1],)
        yield "classifier/kernel", (self.features, self.classes)
        yield "classifier/bias", (self.classes,)


def _inverted_residual(index: int, kernel: int, stride: int, expand: int, channels: tuple[int, int]) -> Block:
    """The block with this index, from 0; its layers are named from 1."""
    name, torch = f"block{index + 1}", f"_blocks.{index}"
    inner = channels[0] * expand
    first = Convolution(
        f"{name}_expand", (f"{torch}._expand_conv", f"{torch}._bn0"), kernel=1, stride=1, channels=(channels[0], inner)
    )
    depthwise = Convolution(
        f"{name}_depthwise",
        (f"{torch}._depthwise_conv", f"{torch}._bn1"),
        kernel=kernel,
        stride=stride,
        channels=(inner, inner),
        depthwise=True,
    )
    project = Convolution(
        f"{name}_project",
        (f"{torch}._project_conv", f"{torch}._bn2"),
        kernel=1,
        stride=1,
        channels=(inner, channels[1]),
        activation=False,
    )
    parts = (depthwise, project) if expand == 1 else (first, depthwise, project)
    return Block(parts, residual=stride == 1 and channels[0] == channels[1])


# Repeats, kernel, stride of the first, expansion, and channels out of each group of blocks.
_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _lite0() -> Network:
    blocks = [Block((Convolution("stem", ("_conv_stem", "_bn0"), kernel=3, stride=2, channels=(3, 32)),))]
    before = 32
    for repeats, kernel, stride, expand, after in _GROUPS:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            blocks.append(_inverted_residual(len(blocks) - 1, kernel, step, expand, (before, after)))
            before = after
    blocks.append(Block((Convolution("head", ("_conv_head", "_bn1"), kernel=1, stride=1, channels=(before, 1280)),)))
    return Network(224, tuple(blocks), 1000)


LITE0 = _lite0()
"""EfficientNet-Lite0: a stem, 16 blocks and a head; 224 pixels, 1,280 features, the 1,000 classes of ImageNet."""
