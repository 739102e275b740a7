"""A Keras model as a backbone, run by onnxruntime, or by Keras on JAX; what it is made of is kept in the cache.

The first use builds the model by code that knows how (`KerasSource.build`), which may download weights. Its structure,
blocks and weights are then one safetensors file in the cache, so that later uses need neither the network nor, for
shapes and keys, Keras.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from fittingroom.atomic import read_file, write_bytes
from fittingroom.backbones.pretrained_weights import digest_of
from fittingroom.data.cache import cache_dir
from fittingroom.errors import InputError, ModelError, StorageError

if TYPE_CHECKING:
    import keras

    from fittingroom.backbones.keras_cut import KerasBlock
    from fittingroom.networks.graph import Graph

Array = np.ndarray[Any, Any]

_FORMAT = 2
_KERAS_BATCH = 8
_MOST_BYTES = 2**32
_log = logging.getLogger("fittingroom")
_working = threading.RLock()


class KerasSource(Hashable, Protocol):
    """Where a Keras model comes from. It is hashable and can be pickled."""

    @property
    def cache_name(self) -> str:
        """The name of its file in the cache."""

    @property
    def input_size(self) -> int | None:
        """Height and width of its images, where that is known before the model is built."""

    @property
    def parameters(self) -> int | None:
        """How many numbers it has, where that is known before."""

    @property
    def blocks(self) -> int | None:
        """How many blocks `blocks_of` finds in it, where that is known before."""

    def build(self) -> keras.Model:
        """The model with its weights, from images (0 to 255) to pooled features.

        Raises:
            InputError: it cannot be had.
        """


@dataclass(frozen=True)
class _Stored:
    """A model as the cache holds it."""

    structure: dict[str, Any]
    image_shape: tuple[int, ...]
    features: int
    names: tuple[str, ...]
    end: str
    blocks: tuple[dict[str, Any], ...]
    weights: Mapping[str, Array]
    digest: str


@dataclass(frozen=True)
class KerasExtractor:
    """A Keras model from somewhere; an `Extractor`."""

    source: KerasSource

    @property
    def parallel(self) -> bool:
        """Only onnxruntime lets several threads work."""
        return self._has_graph

    @property
    def batch(self) -> int:
        """Keras fills up what is less, so that one program is compiled."""
        return 2 if self._has_graph else _KERAS_BATCH

    @property
    def _has_graph(self) -> bool:
        """Whether onnxruntime runs it: the extra `pretrained` is installed, and each of its layers is known."""
        return all(map(find_spec, ("onnx", "onnxruntime"))) and _is_known(self.source)

    @property
    def digest(self) -> str:
        """The SHA-256 of structure and weights."""
        return _stored(self.source).digest

    @property
    def blocks(self) -> int:
        """How many can be trained."""
        known = self.source.blocks
        return len(_stored(self.source).blocks) if known is None else known

    @property
    def input_size(self) -> int:
        """Height and width of its images."""
        return self.source.input_size or int(_stored(self.source).image_shape[0])

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return self.source.parameters or sum(int(array.size) for array in _stored(self.source).weights.values())

    def shape_before(self, unfreeze: int) -> tuple[int, ...]:
        """The shape of one image's features."""
        stored = _stored(self.source)
        return tuple(stored.blocks[-unfreeze]["shape"]) if unfreeze else (stored.features,)

    def run(self, images: Array, unfreeze: int) -> Array:
        """Features of uint8 images `(n, size, size, 3)`."""
        if self._has_graph:
            return self._computed(self._end(unfreeze), images)
        return self._predict(_head(self.source, unfreeze), images)

    def graph(self, unfreeze: int) -> Graph:
        """What `run` does."""
        from fittingroom.backbones.frozen_graph import keras_graph

        stored = _stored(self.source)
        return keras_graph(stored.structure, stored.weights, self._end(unfreeze))

    def _end(self, unfreeze: int) -> str:
        stored = _stored(self.source)
        return str(stored.blocks[-unfreeze]["after"]) if unfreeze else stored.end

    def _computed(self, end: str, images: Array) -> Array:
        with _working:
            session = _session(self.source, end)
        (features,) = session.run(["features"], {"images": images})
        return np.asarray(features)

    def maps(self, images: Array) -> Array | None:
        """The maps before the pooling; None where the model pools in its own way."""
        if self._has_graph:
            end = _before_pooling(_stored(self.source).structure)
            return None if end is None else self._computed(end, images)
        model = _head(self.source, None)
        return None if model is None else self._predict(model, images)

    def tail(self, unfreeze: int | Literal["all"], *, pooled: bool = True) -> keras.Model:
        """The last blocks as a Keras model with pretrained weights."""
        from fittingroom.backbones.keras_cut import tail_of

        with _working:
            model = _model(_stored(self.source))
            return tail_of(model, None if unfreeze == "all" else self._block(unfreeze), pooled=pooled)

    def tail_weights(self, unfreeze: int | Literal["all"]) -> dict[str, Array]:
        """The weights of the last blocks by the names of Keras."""
        stored = _stored(self.source)
        if unfreeze == "all":
            return dict(stored.weights)
        layers = {name for block in stored.blocks[len(stored.blocks) - unfreeze :] for name in block["layers"]}
        return {name: array for name, array in stored.weights.items() if name.partition("/")[0] in layers}

    def class_graph(self) -> None:
        """Its classifier was left out."""

    def class_log_probabilities(self, features: Array) -> None:
        """Its classifier was left out."""

    def _block(self, unfreeze: int) -> KerasBlock:
        from fittingroom.backbones.keras_cut import KerasBlock

        block = _stored(self.source).blocks[-unfreeze]
        return KerasBlock(block["after"], tuple(block["shape"]), tuple(block["layers"]))

    def _predict(self, model: keras.Model, images: Array) -> Array:
        """What a model makes of images, in calls of equal size, so that it is compiled once."""
        shape = _stored(self.source).image_shape
        pixels = images.astype(np.float32)
        if shape[2:] != (3,):
            from fittingroom.backbones.frozen_graph import GREY

            pixels = (pixels @ GREY).reshape(len(images), *shape)
        filled = np.zeros((-(-len(images) // _KERAS_BATCH) * _KERAS_BATCH, *shape), np.float32)
        filled[: len(images)] = pixels
        with _working:  # Keras keeps what it compiles in the model
            parts = [
                np.asarray(model.predict_on_batch(filled[start : start + _KERAS_BATCH]))
                for start in range(0, len(filled), _KERAS_BATCH)
            ]
        return np.concatenate(parts)[: len(images)].astype(np.float32)


@lru_cache(maxsize=4)
def _head(source: KerasSource, unfreeze: int | None) -> Any:
    """The model from images to the boundary; to the maps before the pooling for None."""
    import keras

    from fittingroom.backbones.keras_cut import output_of

    with _working:
        stored = _stored(source)
        model = _model(stored)
        if unfreeze is None:
            pools = [layer for layer in model.layers if layer.name == "pool"]
            return keras.Model(model.inputs[0], pools[0].input) if pools else None
        return keras.Model(model.inputs[0], output_of(model, stored.blocks[-unfreeze]["after"])) if unfreeze else model


@lru_cache(maxsize=4)
def _session(source: KerasSource, end: str) -> Any:
    from fittingroom.backbones.frozen_graph import keras_graph, start_session

    stored = _stored(source)
    return start_session(keras_graph(stored.structure, stored.weights, end))


@lru_cache(maxsize=8)
def _is_known(source: KerasSource) -> bool:
    """Whether a graph can be made of the model."""
    from fittingroom.backbones.frozen_graph import is_known

    stored = _stored(source)
    return is_known(stored.structure, stored.weights, stored.end)


def _before_pooling(structure: dict[str, Any]) -> str | None:
    """The layer before the last pooling; None where there is none."""
    for layer in structure["config"]["layers"]:
        if layer["name"] == "pool":
            return str(layer["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0])
    return None


@lru_cache(maxsize=2)
def _stored(source: KerasSource) -> _Stored:
    """The model from the cache; built, and written there, where it is not."""
    with _working:
        path = cache_dir() / "weights" / f"{source.cache_name}.safetensors"
        try:
            content = read_file(path, _MOST_BYTES)
        except OSError:
            content = None
        stored = None if content is None else _unpacked(content)
        if stored is not None:
            return stored
        if content is not None:
            _log.warning("The cached weights in %s are damaged; they are made again.", path)
        with names_counted_anew():
            content = _packed(source.build())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        except (OSError, StorageError) as error:
            _log.warning("The weights of %s could not be cached for a quicker start: %s", source.cache_name, error)
        stored = _unpacked(content)
        if stored is None:
            raise InputError(f"{source.cache_name} is not a model that can be kept.")
        return stored


@contextmanager
def names_counted_anew() -> Iterator[None]:
    """Within the context, layers without a name get the names that they would get in a new process.

    So a model has the same names, and its features the same key, on every machine.
    """
    from keras.src.backend.common import global_state

    counters = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", counters)


def _packed(model: keras.Model) -> bytes:
    """A model as safetensors: its weights, and the rest as text beside them."""
    from safetensors.numpy import save

    from fittingroom.backbones.keras_cut import blocks_of, without_random_values

    variables = list(_kept_variables(model))
    names = [name for name, _ in variables]
    weights = {name: np.asarray(variable.value) for name, variable in variables}
    if len(weights) < len(names):
        raise ModelError("two of its variables have one name")
    described = {
        "format": _FORMAT,
        "structure": without_random_values(json.loads(model.to_json())),
        "image_shape": model.inputs[0].shape[1:],
        "features": model.outputs[0].shape[1],
        "names": names,
        "end": model.outputs[0]._keras_history.operation.name,
        "blocks": [asdict(block) for block in blocks_of(model)],
    }
    text = json.dumps(described, sort_keys=True)
    return save(weights, metadata={"model": text, "digest": _digest(text, weights)})


def _digest(text: str, weights: Mapping[str, Array]) -> str:
    return hashlib.sha256(f"{text}\n{digest_of(weights)}".encode()).hexdigest()


def _unpacked(content: bytes) -> _Stored | None:
    """What `_packed` wrote; None if it is damaged, or of another format."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        weights = load(content)
        if _digest(header["model"], weights) != header["digest"]:
            return None
        described = json.loads(header["model"])
        if described.pop("format") != _FORMAT:
            return None
        tuples = {name: tuple(described[name]) for name in ("image_shape", "names", "blocks")}
        return _Stored(**{**described, **tuples}, weights=weights, digest=header["digest"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _model(stored: _Stored) -> keras.Model:
    """The model, built again without code from the file."""
    model = build_structure(stored.structure)
    for name, (_, variable) in zip(stored.names, _kept_variables(model), strict=True):
        variable._path = name  # Keras counts variables that have no name through the whole process
        variable.assign(stored.weights[name])
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # `Normalization` computes with what it made of its weights
            layer.finalize_state()
    return model


def _kept_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Name and variable of each layer, without the states of random layers; a name begins with the layer's."""
    for layer in model.layers:
        for variable in layer.variables:
            if "seed_generator" not in variable.path:
                name = re.sub(r"/variable_\d+$", "/variable", variable.path)  # Keras numbers those without a name
                yield name if name.startswith(f"{layer.name}/") else f"{layer.name}/{name}", variable


def build_structure(structure: dict[str, Any]) -> keras.Model:
    """A Keras model from its structure, which is checked first.

    Raises:
        RunError: it names what is not Keras's own.
        ValueError, TypeError, …: Keras cannot build it.
    """
    import keras

    from fittingroom.backbones.keras_structure import check_structure, check_structure_size

    check_structure(structure)
    check_structure_size(structure)
    return keras.models.model_from_json(json.dumps(structure))
