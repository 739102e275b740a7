"""EfficientNet-Lite0 at work: onnxruntime for what is frozen, Keras for what is trained."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fittingroom.backbones.inverted_residuals import Network
from fittingroom.backbones.onnx_graph import start_session
from fittingroom.backbones.pretrained_weights import PackagedWeights

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]

_starting = threading.Lock()


@dataclass(frozen=True)
class LiteExtractor:
    """A network of inverted residuals with packaged weights; an `Extractor`. It holds no session, so it can be sent."""

    network: Network
    packaged: PackagedWeights

    @property
    def digest(self) -> str:
        """The SHA-256 of the arrays."""
        return self.packaged.digest

    def shape_before(self, unfreeze: int) -> tuple[int, ...]:
        """The shape of one image's features."""
        return self.network.shape_before(unfreeze) if unfreeze else (self.network.features,)

    def run(self, images: Array, unfreeze: int) -> Array:
        """Features of uint8 images `(n, size, size, 3)`."""
        with _starting:  # two threads would start two
            session = _session(self, unfreeze)
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

    def class_log_probabilities(self, features: Array) -> Array:
        """Log probabilities of the classifier, float32 `(n, classes)`."""
        weights = _weights(self)
        logits = features.astype(np.float64) @ weights["classifier/kernel"] + weights["classifier/bias"]
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits.astype(np.float32)


@lru_cache(maxsize=2)
def _weights(extractor: LiteExtractor) -> dict[str, Array]:
    return extractor.packaged.load(extractor.network)


@lru_cache(maxsize=4)
def _session(extractor: LiteExtractor, unfreeze: int) -> Any:
    # One thread: two of our own that call it are faster than two within it.
    return start_session(extractor.network, _weights(extractor), unfreeze, threads=1)
