"""The whole way from stored images to a run's calibrated probabilities, as one `Graph`.

It puts together what the programs of the engine do: the scaling, the test views, the network of each seed, how the loss
reads what these give, the mean over views and seeds, and the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fittingroom.errors import ModelError
from fittingroom.exports.backbone_front import as_backbone_sees
from fittingroom.networks.from_keras import graph_of_model
from fittingroom.networks.graph import Graph
from fittingroom.networks.graph_builder import GraphBuilder
from fittingroom.recipes.settings import Augmentation

if TYPE_CHECKING:
    import keras

    from fittingroom.backbones.backbone import Backbone

Reading = Literal["softmax", "logits", "sigmoid logits", "probabilities", "margins"]
"""How a network's outputs are read: `softmax` as the exact logarithm of it, the others as `engine.losses` has them."""

_LEAST = 1e-7  # the probabilities of Keras's losses are clipped there
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The network of one seed, for one view of an image.

    Args:
        model: from float32 images, or from features of a backbone, to its only output.
        reading: how its outputs are read.
    """

    model: keras.Model
    reading: Reading


@dataclass(frozen=True, eq=False)
class ImageWay:
    """How stored images come to a network.

    Args:
        shape: of one image.
        type: of the images as they are stored.
        scale: what they are divided by; None where they go in as they are.
        rounded: whether they are whole numbers afterwards, halves rounded up.
        views: the recipe's `test_views`.
        backbone: whose frozen part gives the features that the networks take; None where they take images.
        unfreeze: how many of its last blocks are trained, and so in the networks.
    """

    shape: tuple[int, ...]
    type: Literal["uint8", "float32"]
    scale: float | None
    rounded: bool = False
    views: Sequence[str] = ()
    backbone: Backbone | None = None
    unfreeze: int = 0


@dataclass(frozen=True, eq=False)
class NetworkParts:
    """All that a run's answers are computed by, but for the temperature.

    Args:
        way: how images come to the networks.
        networks: one for each seed.
    """

    way: ImageWay
    networks: Sequence[TrainedNetwork]


def answer_graph(parts: NetworkParts, temperature: float) -> Graph:
    """The graph of an `ExportSubject`.

    Args:
        parts: networks, and how images come to them.
        temperature: what logarithms of probabilities are divided by.

    Raises:
        ModelError: a layer is not known.
    """
    images = parts.way
    builder = GraphBuilder(images.shape, images.type)
    seen, outputs = _seen(builder, images), {}
    if images.backbone is not None:
        pictures = [as_backbone_sees(builder, each, images.backbone.input_size) for each in seen]
        front = images.backbone.graph(images.unfreeze)
        # With 16 bits, as the engine keeps features in training.
        seen = [builder.add("float16", [_inlined(builder, front, each)]) for each in pictures]
        pooled = images.unfreeze == 0
        outputs["features"] = (
            builder.add("average", seen) if pooled else _inlined(builder, images.backbone.graph(), pictures[0])
        )
    shape = builder.shape(seen[0])
    graphs = [(graph_of_model(network.model, image_shape=shape), network.reading) for network in parts.networks]
    logs = [_log_probabilities(builder, *graph, each) for graph in graphs for each in seen]
    outputs["log_probabilities"] = builder.add("log_mean_exp", logs)
    scaled = _times(builder, outputs["log_probabilities"], 1 / temperature)
    outputs["probabilities"] = builder.add("softmax", [scaled])
    return builder.graph(outputs)


def log_probability_graph(way: ImageWay, network: Graph, reading: Reading) -> Graph:
    """From stored images to the `log_probabilities` of one network.

    Args:
        way: how images come to it, without a backbone.
        network: for one view of an image.
        reading: how its outputs are read.

    Raises:
        ModelError: the network takes images of another shape, or outputs that are no probabilities for sure are read
            as such: rows without a positive number are read otherwise by the engine.
    """
    builder = GraphBuilder(way.shape, way.type)
    seen = _seen(builder, way)
    grey = [
        shape[:-1] if shape[-1:] == (1,) and len(shape) > 2 else shape for shape in (way.shape, network.image_shape)
    ]
    if grey[0] != grey[1]:
        raise ModelError(f"The network takes images of {network.image_shape}, not of {way.shape}.")
    if reading == "probabilities" and _before_softmax(network) is None:
        raise ModelError("The network does not end in a softmax.")
    logs = [_log_probabilities(builder, network, reading, each) for each in seen]
    return builder.graph({"log_probabilities": builder.add("log_mean_exp", logs)})


def _seen(builder: GraphBuilder, way: ImageWay) -> list[str]:
    """The views of images as a network, or a backbone, takes them."""
    value = "images"
    if way.scale is not None:
        value = _times(builder, value, 1 / way.scale)
    if way.rounded:
        value = builder.add("floor", [_times(builder, value, 1, 0.5)])
    return _views_of(builder, value, way.views)


def _views_of(builder: GraphBuilder, value: str, texts: Sequence[str]) -> list[str]:
    """The test views of images: as they are, moved, and the mirror images of all of these."""
    views, rest = [value], [[0, 0]] * (len(builder.shape(value)) - 2)
    changes = list(map(Augmentation.of, texts))
    for change in changes:
        if change.name == "shift":
            pixels = change.strength or 0
            for front, back in (([pixels, 0], [0, pixels]), ([0, pixels], [pixels, 0])):
                padded = builder.add("pad", [value], padding=[front, front, *rest])
                views.append(builder.add("crop", [padded], cropping=[back, back, *rest]))
    if any(change.name == "flip" for change in changes):
        views += [builder.add("flip", [view], axis=1) for view in views]
    return views


def _inlined(builder: GraphBuilder, graph: Graph, value: str) -> str:
    """The only output of a graph that takes a value as its images."""
    shaped = builder.add("reshape", [value], shape=graph.image_shape)
    (output,) = builder.inline(graph, shaped).values()
    return output


def _log_probabilities(builder: GraphBuilder, graph: Graph, reading: Reading, value: str) -> str:
    """Logarithms of probabilities, as `engine.losses.OutputKind` computes them from what a network gives."""
    without = _before_softmax(graph) if reading in ("softmax", "probabilities") else None
    value = _inlined(builder, without or graph, value)
    single = builder.shape(value)[-1] == 1
    if reading == "softmax" or (reading == "logits" and not single):
        return builder.add("log_softmax", [value])
    if reading in ("logits", "sigmoid logits") and single:
        both = builder.add("concatenate", [_times(builder, value, -1), value], axis=-1)
        return builder.add("activation", [both], name="log_sigmoid")
    if without is not None and not single:
        return _clipped(builder, builder.add("log_softmax", [value]))
    if reading == "sigmoid logits":
        logs = builder.add("activation", [value], name="log_sigmoid")
        return _clipped(builder, builder.add("log_softmax", [logs]))
    if reading == "margins":
        value = _times(builder, _between(builder, value, -1, 1), 0.5, 0.5)
    if single:
        value = _between(builder, value, _LEAST, 1 - _LEAST)
        both = builder.add("concatenate", [_times(builder, value, -1, 1), value], axis=-1)
        return builder.add("activation", [both], name="log")
    logs = builder.add("activation", [_between(builder, value, _TINY, None)], name="log")
    return _clipped(builder, builder.add("log_softmax", [logs]))


def _before_softmax(graph: Graph) -> Graph | None:
    """A graph without the softmax that it ends in; None where it ends in something else."""
    ((name, output),) = graph.outputs.items()
    last = next((operation for operation in graph.operations if operation.output == output), None)
    return replace(graph, outputs={name: last.inputs[0]}) if last is not None and last.kind == "softmax" else None


def _clipped(builder: GraphBuilder, logs: str) -> str:
    """Within what Keras's losses clip probabilities to."""
    return _between(builder, logs, math.log(_LEAST), math.log1p(-_LEAST))


def _between(builder: GraphBuilder, value: str, least: float, most: float | None) -> str:
    for kind, bound in (("maximum", least), ("minimum", most)):
        if bound is not None:
            value = builder.add(kind, [value, builder.add("constant", weights={"value": bound})])
    return value


def _times(builder: GraphBuilder, value: str, factor: float, offset: float = 0.0) -> str:
    if (factor, offset) == (1, 0):
        return value
    return builder.add("scale", [value], weights={"scale": factor, "offset": offset})
