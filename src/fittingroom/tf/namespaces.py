"""The parts of the stand-in, and what they say of names that they do not have."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import keras

_LOOKED_IN = ("ops", "random", "activations", "losses", "metrics", "optimizers", "layers", "utils", "initializers")

_INSTEAD = {
    "GradientTape": "model.fit, which computes gradients itself; for gradients of your own, jax.value_and_grad of a "
    "function that calls model.stateless_call",
    "Graph": "Keras 3 runs at once, and compiles what model.fit trains",
    "Module": "keras.layers.Layer",
    "Session": "Keras 3 runs at once: call the model, model(images)",
    "SparseTensor": "a dense array",
    "TensorArray": "keras.ops.scan",
    "TensorShape": "a tuple",
    "clip_by_global_norm": "the optimizer's global_clipnorm, such as keras.optimizers.Adam(global_clipnorm=1.0)",
    "compat": "Keras 3 has no TensorFlow 1",
    "convert_image_dtype": "images / 255",
    "distribute": "keras.distribution",
    "estimator": "keras.Model",
    "feature_column": "keras.utils.FeatureSpace",
    "gradients": "keras.Model.fit computes gradients itself",
    "io": "keras.utils.load_img and keras.utils.img_to_array",
    "lite": "fittingroom export RUN --to tflite",
    "map_fn": "keras.ops.map",
    "placeholder": "keras.Input",
    "py_function": "a plain Python function",
    "saved_model": "model.save('model.keras'), or fittingroom export RUN --to savedmodel",
    "sparse_softmax_cross_entropy_with_logits": "keras.losses.sparse_categorical_crossentropy(labels, logits, "
    "from_logits=True)",
    "strings": "Python's own str",
    "summary": "keras.callbacks.TensorBoard",
    "tensor_scatter_nd_update": "keras.ops.scatter_update",
    "train": "keras.callbacks.ModelCheckpoint, and keras.optimizers",
}
"""Names of TensorFlow's that Keras has under another name, or not at all, and what to use."""


def missing(place: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for a name of TensorFlow's that the stand-in lacks.

    Args:
        place: where it was looked for, such as `tf.math`.
        name: what was asked for.
        known: the names that are there.
    """
    if name in _INSTEAD:
        instead = f"In its place: {_INSTEAD[name]}."
    elif hasattr(keras, name):
        instead = f"Keras has it as keras.{name}."
    else:
        found = next((part for part in _LOOKED_IN if hasattr(getattr(keras, part), name)), None)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        meant = f"Did you mean {place}.{near[0]}? " if near else ""
        instead = f"Keras has it as keras.{found}.{name}." if found else f"{meant}What Keras has is in keras.ops."
    error = AttributeError(f"{place}.{name} is not part of Fitting Room's stand-in for TensorFlow. {instead}")
    error.name = name
    return error


class Namespace(ModuleType):
    """A part of the stand-in, such as `tf.math`: a module without a file.

    Args:
        name: below `fittingroom.tf`.
        members: its names.
    """

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        super().__init__(f"fittingroom.tf.{name}", f"What Fitting Room's stand-in has of `tf.{name}`.")
        vars(self).update(members)
        sys.modules[self.__name__] = self  # for `from fittingroom.tf.nn import relu`

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions, such as for __path__
            raise AttributeError(name)
        raise missing(self.__name__.removeprefix("fittingroom."), name, _public(self))


def _public(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]
