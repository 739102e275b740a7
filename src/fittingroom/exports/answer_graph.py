"""The whole way from stored images to a run's calibrated probabilities, as one `Graph`.

It puts together what the programs of the engine do: the scaling, the test views, the network of each seed, how the loss
reads what these give, the mean over views and seeds, and the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fittingroom.networks.graph import Graph
from fittingroom.networks.graph_builder import GraphBuilder
from fittingroom.recipes.settings import Augmentation

Reading = Literal["softmax", "logits", "sigmoid logits", "probabilities", "margins"]
"""How a network's outputs are read: `softmax` as the exact logarithm of it, the others as `engine.losses` has them."""

_LEAST = 1e-7  # the probabilities of Keras's losses are clipped there
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The network of one seed.

    Args:
        graph: from float32 images, or from features of a backbone, to its only output.
        reading: how its outputs are read.
    """

    graph: Graph
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
        front: from images of 0 to 255 to the features that the networks take; None without a frozen backbone.
        compared: from images of 0 to 255 to the features that images are compared by, where these are others.
    """

    shape: tuple[int, ...]
    type: Literal["uint8", "float32"]
    scale: float | None
    rounded: bool = False
    views: Sequence[str] = ()
    front: Graph | None = None
    compared: Graph | None = None


def answer_graph(networks: Sequence[TrainedNetwork], images: ImageWay, temperature: float) -> Graph:
    """The graph of an `ExportSubject`.

    Args:
        networks: one for each seed.
        images: how they come to the networks.
        temperature: what logarithms of probabilities are divided by.
    """
    builder = GraphBuilder(images.shape, images.type)
    value = "images"
    if images.scale is not None:
        value = _times(builder, value, 1 / images.scale)
    if images.rounded:
        value = builder.add("floor", [_times(builder, value, 1, 0.5)])
    seen, outputs = views_of(builder, value, images.views), {}
    if images.front is not None:
        first = seen[0]
        # With 16 bits, as the engine keeps features in training.
        seen = [builder.add("float16", [inlined(builder, images.front, each)]) for each in seen]
        compared = images.compared
        outputs["features"] = builder.add("average", seen) if compared is None else inlined(builder, compared, first)
    logs = [_log_probabilities(builder, network, each) for network in networks for each in seen]
    outputs["log_probabilities"] = builder.add("log_mean_exp", logs)
    scaled = _times(builder, outputs["log_probabilities"], 1 / temperature)
    outputs["probabilities"] = builder.add("softmax", [scaled])
    return builder.graph(outputs)


def inlined(builder: GraphBuilder, graph: Graph, value: str) -> str:
    """The only output of a whole graph that takes a value as its images."""
    names = {"images": builder.add("reshape", [value], shape=graph.image_shape)}
    for operation in graph.operations:
        names[operation.output] = builder.add(
            operation.kind,
            [names[name] for name in operation.inputs],
            shape=operation.shape,
            weights=operation.weights,
            layer=operation.layer,
            **operation.options,
        )
    (output,) = graph.outputs.values()
    return names[output]


def views_of(builder: GraphBuilder, value: str, texts: Sequence[str]) -> list[str]:
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


def _log_probabilities(builder: GraphBuilder, network: TrainedNetwork, value: str) -> str:
    """Logarithms of probabilities, as `engine.losses.OutputKind` computes them from what a network gives."""
    reading, graph = network.reading, network.graph
    without = _before_softmax(graph) if reading in ("softmax", "probabilities") else None
    value = inlined(builder, without or graph, value)
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
        value = builder.add("concatenate", [_times(builder, value, -1, 1), value], axis=-1)
    logs = builder.add("activation", [_between(builder, value, _TINY, None)], name="log")
    return _clipped(builder, logs if single else builder.add("log_softmax", [logs]))


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
