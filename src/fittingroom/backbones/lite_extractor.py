"""EfficientNet-Lite0 at work: onnxruntime for what is frozen, Keras for what is trained."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from fittingroom.backbones.inverted_residuals import Network

if TYPE_CHECKING:
    import keras

    from fittingroom.networks.graph import Graph

Array = np.ndarray[Any, Any]

_starting = threading.Lock()


class LiteWeights(Protocol):
    """Where the weights come from. It is hashable and can be pickled."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the arrays (`digest_of`)."""

    def load(self, network: Network) -> dict[str, Array]:
        """The weights of a network, by the names of `Network.weight_shapes`; the classifier's may be missing."""


@dataclass(frozen=True)
class LiteExtractor:
    """A network of inverted residuals with weights; an `Extractor`. It holds no session, so it can be pickled."""

    network: Network
    weights: LiteWeights
    parallel: ClassVar[bool] = True
    batch: ClassVar[int] = 2  # 8 take a sixth longer each, and 55 MB more for each thread

    @property
    def digest(self) -> str:
        """The SHA-256 of the arrays."""
        return self.weights.digest

    @property
    def blocks(self) -> int:
        """How many can be trained: all but the stem."""
        return len(self.network.blocks) - 1

    @property
    def input_size(self) -> int:
        """Height and width of its images."""
        return self.network.input_size

    @property
    def parameters(self) -> int:
        """Of convolutions and batch normalisations, without moving statistics."""
        shapes = self.network.weight_shapes()
        return sum(
            math.prod(shape) for name, shape in shapes if not name.startswith("classifier") and "moving" not in name
        )

    def shape_before(self, unfreeze: int) -> tuple[int, ...]:
        """The shape of one image's features."""
        return self.network.shape_before(unfreeze) if unfreeze else (self.network.features,)

    def run(self, images: Array, unfreeze: int) -> Array:
        """Features of uint8 images `(n, size, size, 3)`."""
        return self._run(images, unfreeze, pooled=not unfreeze)

    def maps(self, images: Array) -> Array:
        """The last maps, before they are pooled."""
        return self._run(images, 0, pooled=False)

    def graph(self, unfreeze: int) -> Graph:
        """What `run` does."""
        from fittingroom.backbones.frozen_graph import lite_graph

        return lite_graph(self.network, _weights(self), unfreeze, pooled=not unfreeze)

    def _run(self, images: Array, unfreeze: int, *, pooled: bool) -> Array:
        with _starting:  # two threads would start two
            session = _session(self, unfreeze, pooled=pooled)
        (features,) = session.run(["features"], {"images": images})
        return np.asarray(features)

    def tail(self, unfreeze: int | Literal["all"], *, pooled: bool = True) -> keras.Model:
        """The last blocks as a Keras model with pretrained weights."""
        from fittingroom.backbones.keras_network import build_tail

        model = build_tail(self.network, unfreeze, pooled=pooled)
        weights = self.tail_weights(unfreeze)
        for variable in model.variables:
            variable.assign(weights[variable.path])
        return model

    def tail_weights(self, unfreeze: int | Literal["all"]) -> dict[str, Array]:
        """The weights of the last blocks by the names of Keras."""
        count = len(self.network.blocks) if unfreeze == "all" else unfreeze
        blocks = self.network.blocks[len(self.network.blocks) - count :]
        layers = {f"{part.name}_{kind}" for block in blocks for part in block.convolutions for kind in ("conv", "norm")}
        weights = _weights(self)
        return {name: array for name, array in weights.items() if name.partition("/")[0] in layers}

    def class_graph(self) -> Graph | None:
        """From images to log probabilities of the classifier; None where the weights have none."""
        from fittingroom.networks.graph_builder import GraphBuilder

        weights = _weights(self)
        if "classifier/kernel" not in weights:
            return None
        builder, front = GraphBuilder((self.input_size, self.input_size, 3), "uint8"), self.graph(0)
        classifier = {"kernel": weights["classifier/kernel"], "bias": weights["classifier/bias"]}
        logits = builder.add("dense", [builder.inline(front, "images")["features"]], weights=classifier)
        return builder.graph({"log_probabilities": builder.add("log_softmax", [logits])})

    def class_log_probabilities(self, features: Array) -> Array | None:
        """Log probabilities of the classifier, float32 `(n, classes)`; None where the weights have none."""
        weights = _weights(self)
        if "classifier/kernel" not in weights:
            return None
        logits = features.astype(np.float64) @ weights["classifier/kernel"] + weights["classifier/bias"]
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits.astype(np.float32)


@lru_cache(maxsize=2)
def _weights(extractor: LiteExtractor) -> dict[str, Array]:
    return extractor.weights.load(extractor.network)


@lru_cache(maxsize=4)
def _session(extractor: LiteExtractor, unfreeze: int, *, pooled: bool) -> Any:
    from fittingroom.backbones.frozen_graph import lite_graph, start_session

    return start_session(lite_graph(extractor.network, _weights(extractor), unfreeze, pooled=pooled))
