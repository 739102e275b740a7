"""A run's network computed by NumPy, made from the description and the weights in its folder, without Keras and JAX.

Only what is known for sure to give what the run's compiled programs give is made: of layers that `networks` knows,
which compute in 32 bits, and with outputs that are read in one way only. For everything else there are the programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.errors import ModelError, RunError
from fittingroom.exports.answer_graph import ImageWay, Reading, log_probability_graph
from fittingroom.networks.from_keras import graph_of
from fittingroom.networks.numpy_network import NumpyNetwork
from fittingroom.runs.record import RunRecord

Array = np.ndarray[Any, Any]
Structure = Mapping[str, Any]

_LARGEST_VALUE = 2**24  # numbers that a layer gives for one image, as for models that Keras makes from a file
_MOST_COPIES = 10_000  # of a row, or of pixels: these layers write a list of them
_CLASSWISE = ("sparse_categorical_crossentropy", "categorical_crossentropy")
_CLASSES_OF_LOSSES = ("SparseCategoricalCrossentropy", "CategoricalCrossentropy")
_RANDOM_STATE = "seed_generator_state"  # a variable that only training draws from


def described_network(
    record: RunRecord, description: Mapping[str, Any], weights: Mapping[str, Array], *, of_recipe: bool
) -> NumpyNetwork | None:
    """From a run's images to logarithms of probabilities; None where that takes its compiled programs.

    Args:
        record: of the run.
        description: of its model, as `engine.description` makes it.
        weights: by the names of their variables.
        of_recipe: whether its recipe, and no Keras model of the user's, says what the network is.
    """
    structure = description.get("keras")
    if not isinstance(structure, Mapping) or record.recipe.get("backbone") is not None:
        return None
    try:
        return _network(record, structure, weights, of_recipe=of_recipe)
    # A description is a file, and a damaged one may be anything: then the programs say what is wrong with it.
    except (ModelError, RunError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _network(
    record: RunRecord, structure: Structure, weights: Mapping[str, Array], *, of_recipe: bool
) -> NumpyNetwork | None:
    data, recipe = record.data, record.recipe
    reading = "softmax" if of_recipe else _reading(structure)
    network = _inner(structure) if of_recipe else structure
    if reading is None or not _is_plain(network):
        return None
    if of_recipe and _sizes(network) != _recipe_sizes(recipe, len(data.classes)):
        return None
    graph = graph_of(network, _by_path(network, weights), image_shape=data.image_shape, most=_LARGEST_VALUE)
    scale = data.scale if recipe.get("scale", True) else 1.0
    way = ImageWay(
        data.image_shape,
        "float32" if data.as_given else "uint8",
        None if data.as_given and not of_recipe else scale,
        views=(recipe.get("test_views") or ()) if of_recipe else (),
    )
    whole = log_probability_graph(way, graph, reading)
    if whole.shape_of(whole.outputs["log_probabilities"]) != (len(data.classes),) or not NumpyNetwork.knows(whole):
        return None
    return NumpyNetwork(whole, "log_probabilities")


def _inner(structure: Structure) -> Structure:
    """The network that sees one view of an image, as `recipes.build` makes it."""
    if structure["config"]["name"] != "averaged_classifier":
        return structure
    (inner,) = (layer for layer in structure["config"]["layers"] if layer["config"]["name"] == "classifier")
    found: Structure = inner
    return found


def _reading(structure: Structure) -> Reading | None:
    """How the loss of a user's model reads its outputs; None for one that is not a plain cross-entropy of classes."""
    loss = (structure.get("compile_config") or {}).get("loss")
    if isinstance(loss, list) and len(loss) == 1:
        (loss,) = loss
    if loss in (*_CLASSWISE, *_CLASSES_OF_LOSSES):
        return "probabilities"
    if not isinstance(loss, Mapping) or loss.get("module") != "keras.losses":
        return None
    if loss.get("class_name") not in _CLASSES_OF_LOSSES:
        return None
    return "logits" if loss["config"].get("from_logits") else "probabilities"


def _dictionaries(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _dictionaries(item)
    elif isinstance(value, list):
        for item in value:
            yield from _dictionaries(item)


def _is_plain(structure: Structure) -> bool:
    """Whether all of it computes in 32 bits, and no layer makes many copies."""
    for part in _dictionaries(structure.get("config")):
        dtype = part.get("dtype")
        name = dtype["config"]["name"] if isinstance(dtype, Mapping) else dtype
        if name not in (None, "float32"):
            return False
        if part.get("class_name") in ("UpSampling1D", "UpSampling2D", "RepeatVector"):
            copies = part["config"].get("size", part["config"].get("n"))
            if math.prod(np.ravel(copies).tolist()) > _MOST_COPIES:
                return False
    return True


def _sizes(structure: Structure) -> list[int]:
    """How many numbers each layer with a kernel gives, in the order of the layers."""
    layers = structure["config"]["layers"]
    found = [layer["config"].get("units", layer["config"].get("filters")) for layer in layers]
    return [size for size in found if size is not None]


def _recipe_sizes(recipe: Mapping[str, Any], classes: int) -> list[int]:
    stages: Sequence[Sequence[int]] = recipe.get("convolutions") or ()
    return [*(size for stage in stages for size in stage), *(recipe.get("hidden") or ()), classes]


def _by_path(structure: Structure, weights: Mapping[str, Array]) -> dict[str, Array]:
    """The weights by the names of the layers alone; Keras puts the name of a sequential model before them."""
    own = {name: array for name, array in weights.items() if not name.partition("#")[0].endswith(_RANDOM_STATE)}
    prefix = f"{structure['config']['name']}/"
    if all(name.startswith(prefix) for name in own):
        return {name.removeprefix(prefix): array for name, array in own.items()}
    return own
