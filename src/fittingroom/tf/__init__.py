"""A stand-in for those who learned with TensorFlow and do not have it: `import fittingroom.tf as tf`.

`tf.keras` is Keras, whose `model.fit` trains on Fitting Room's engine from here on and returns a `History` that is also
a run; tensors are JAX's arrays and know `numpy()`. It has what an introductory course uses; what is missing is named
with its Keras name. docs/how-to/tensorflow.md lists it.
"""

# ruff: noqa: E402 - the backend is checked before anything imports Keras

from __future__ import annotations

import sys
from collections import namedtuple
from types import ModuleType
from typing import Any

from fittingroom.engine.devices import prepare_jax, require_jax_backend

require_jax_backend()
prepare_jax()

import jax
import keras as _plain_keras

import fittingroom
from fittingroom.api.accelerate import accelerate
from fittingroom.tf.image_operations import IMAGE
from fittingroom.tf.keras_datasets import keras_datasets
from fittingroom.tf.namespaces import Namespace, missing
from fittingroom.tf.operations import LINALG, MATH, NN, OPERATIONS
from fittingroom.tf.pipeline import AUTOTUNE, Pipeline
from fittingroom.tf.tensors import DTYPES, MAKERS, RANDOM, teach_numpy

__version__ = f"2.16+fittingroom.{fittingroom.__version__}"  # TensorFlow has Keras 3 since 2.16

PhysicalDevice = namedtuple("PhysicalDevice", ("name", "device_type"))


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The processors that JAX computes on, of one kind ("CPU", "GPU") or all."""
    found = [(device.platform.upper(), device.id) for device in jax.devices()]
    kinds = [("GPU" if kind in {"CUDA", "ROCM"} else kind, number) for kind, number in found]
    return [
        PhysicalDevice(f"/physical_device:{kind}:{number}", kind)
        for kind, number in kinds
        if device_type in {None, kind}
    ]


def _keras() -> ModuleType:
    """`tf.keras`: the module that Keras itself makes for TensorFlow, with datasets of our catalogue."""
    try:
        from keras._tf_keras import (
            keras as for_tensorflow,
        )  # has names of TensorFlow's time, such as ImageDataGenerator
    except ImportError:
        for_tensorflow = _plain_keras
    members = {name: value for name, value in vars(for_tensorflow).items() if not name.startswith("__")}
    for name, value in members.items():
        if isinstance(value, ModuleType):
            _register(f"fittingroom.tf.keras.{name}", value)
    return Namespace("keras", {**members, "datasets": keras_datasets(), "__version__": _plain_keras.__version__})


def _register(name: str, module: ModuleType) -> None:
    """Lets `from fittingroom.tf.keras.layers import Dense` find Keras's module, and those below it."""
    sys.modules[name] = module
    for part, value in vars(module).items():
        if isinstance(value, ModuleType) and not part.startswith("_") and value.__name__.startswith("keras."):
            _register(f"{name}.{part}", value)


keras = _keras()
nn = Namespace("nn", NN)
math = Namespace("math", MATH)
linalg = Namespace("linalg", LINALG)
random = Namespace("random", RANDOM)
data = Namespace(
    "data",
    {"Dataset": Pipeline, "AUTOTUNE": AUTOTUNE, "experimental": Namespace("data.experimental", {"AUTOTUNE": AUTOTUNE})},
)
image = Namespace("image", IMAGE)
config = Namespace("config", {"list_physical_devices": list_physical_devices})
activations, initializers = keras.activations, keras.initializers
losses, metrics, optimizers = keras.losses, keras.metrics, keras.optimizers
Tensor = jax.Array
newaxis = None

globals().update({**DTYPES, **MAKERS, **OPERATIONS})
teach_numpy()
accelerate()


def executing_eagerly() -> bool:
    """True: outside of what `model.fit` compiles, everything runs at once."""
    return True


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(
        "tf",
        name,
        [*DTYPES, *MAKERS, *OPERATIONS, "keras", "nn", "math", "linalg", "random", "config", "data", "image"],
    )
