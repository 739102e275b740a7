"""The part of a backbone that is not trained: from images to features, which are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from fittingroom.backbones.feature_store import usable_cores
from fittingroom.errors import InputError

if TYPE_CHECKING:
    import keras

    from fittingroom.networks.graph import Graph

Array = np.ndarray[Any, Any]

PREPROCESSING = 1
"""Raised when images come to the backbone in another way, so that older features are made again."""


class Extractor(Protocol):
    """What runs a backbone. Blocks are counted from the end: the last `unfreeze` of them are left out."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the weights as they are used."""

    @property
    def parallel(self) -> bool:
        """Whether several threads that call `run` are faster than one."""

    @property
    def batch(self) -> int:
        """How many images one call of `run` is fastest with."""

    @property
    def blocks(self) -> int:
        """How many blocks can be trained."""

    @property
    def input_size(self) -> int:
        """Height and width at which it sees images."""

    @property
    def parameters(self) -> int:
        """How many numbers it has, without a classifier."""

    def shape_before(self, unfreeze: int) -> tuple[int, ...]:
        """The shape of one image's features before the last `unfreeze` blocks; `(features,)` for 0."""

    def run(self, images: Array, unfreeze: int) -> Array:
        """Those features, float32, of uint8 images `(n, size, size, 3)`; callable from several threads."""

    def graph(self, unfreeze: int) -> Graph:
        """What `run` does, as a graph whose output is `features`.

        Raises:
            ModelError: a graph cannot hold a layer, which is named.
        """

    def maps(self, images: Array) -> Array | None:
        """The last maps, before they are pooled: float32, `(n, height, width, channels)`; None where there are none."""

    def tail(self, unfreeze: int | Literal["all"], *, pooled: bool = True) -> keras.Model:
        """The rest as a Keras model; see `Backbone.tail`."""

    def tail_weights(self, unfreeze: int | Literal["all"]) -> dict[str, Array]:
        """The weights of the rest by the names of its variables."""

    def class_graph(self) -> Graph | None:
        """From images to what its own classifier makes of them, `log_probabilities`; None where there is none."""

    def class_log_probabilities(self, features: Array) -> Array | None:
        """What the backbone's own classifier makes of pooled features; None where there is none."""


@dataclass(frozen=True)
class FrozenPart:
    """A backbone up to where training begins.

    Attributes:
        key: names backbone, weights, boundary and preprocessing; fit for the name of a file.
        shape: of one image's features: `(1280,)` where they are pooled, else `(height, width, channels)`.
        input_size: height and width at which the backbone sees images.
        parallel: whether several threads that ask for features are faster than one.
    """

    key: str
    shape: tuple[int, ...]
    input_size: int
    parallel: bool
    _extractor: Extractor
    _unfreeze: int

    def features(self, images: Array, *, threads: int | None = None) -> Array:
        """The features of images.

        Args:
            images: uint8, `(n, height, width)` or `(n, height, width, 3)`, 0 to 255. Other sizes than the backbone's
                are resized (bilinear), also to another aspect; grey ones get three equal channels.
            threads: that work at once; all cores where it is None. The features do not depend on it.

        Returns:
            float32, `(n, *shape)`.

        Raises:
            InputError: these are not such images.
        """
        _check(images)
        features = np.empty((len(images), *self.shape), np.float32)
        places = range(0, len(images), self._extractor.batch)
        workers = min(threads or usable_cores(), len(places)) if self.parallel else 1

        def fill(start: int) -> None:
            batch = prepared(images[start : start + places.step], self.input_size)
            features[start : start + places.step] = self._extractor.run(batch, self._unfreeze)

        if workers <= 1:
            for start in places:
                fill(start)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(fill, places))  # the list passes on an error
        return features


def batched_maps(extractor: Extractor, images: Array) -> Array | None:
    """The last maps of images of any size, `(n, height, width, channels)`, not pooled; None where there are none.

    Raises:
        InputError: these are no images (see `FrozenPart.features`).
    """
    _check(images)
    places = range(0, max(len(images), 1), extractor.batch)
    maps = [extractor.maps(prepared(images[start : start + places.step], extractor.input_size)) for start in places]
    return None if maps[0] is None else np.concatenate([each for each in maps if each is not None])


def prepared(images: Array, size: int) -> Array:
    """Images as a backbone takes them: uint8, `(n, size, size, 3)`."""
    if not len(images):
        return np.zeros((0, size, size, 3), np.uint8)
    if images.ndim == 3 and images.shape[1:3] != (size, size):
        images = np.stack(list(_resized(images, size)))  # one channel is resized faster than three
    if images.ndim == 3:
        images = np.broadcast_to(images[..., None], (*images.shape, 3))
    if images.shape[1:3] != (size, size):
        images = np.stack(list(_resized(images, size)))
    return np.ascontiguousarray(images)


def _resized(images: Array, size: int) -> Iterator[Array]:
    from PIL import Image

    for image in images:
        resized = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        yield np.asarray(resized)


def _check(images: Array) -> None:
    grey, colour = images.ndim == 3, images.ndim == 4 and images.shape[-1] == 3
    if images.dtype != np.uint8 or not (grey or colour) or 0 in images.shape[1:]:
        raise InputError(
            f"a backbone takes uint8 images of shape (n, height, width) or (n, height, width, 3), 0 to 255; "
            f"these are {images.dtype} of shape {images.shape}"
        )
