"""Hostile `model.json` and `weights.safetensors`: everything that names code, and everything that asks for too much."""

from __future__ import annotations

import base64
import json
import marshal
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fittingroom.runs.layout import SeedFiles
from tests.hostile.case import Case, Json, Place, evil_module, pickled, safetensors
from tests.hostile.records import changed_json, copied, replaced

FLOATS = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def lambda_code(canary: Path) -> str:
    """A function that makes the canary, as Keras keeps those of Lambda layers."""
    code = compile(f"lambda x: open({str(canary)!r}, 'w')", "evil", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def layer(changes: Callable[[Place], Json]) -> Callable[[Place], None]:
    """Writes a run of a user's model whose first dense layer is changed like this."""

    def build(place: Place) -> None:
        def change(stored: Json) -> None:
            stored["description"]["keras"]["config"]["layers"][2].update(changes(place))

        changed_json("own", "model.json", change)(place)

    return build


def structure(change: Callable[[Json], object]) -> Callable[[Place], None]:
    """Writes a run of a user's model whose description is changed like this."""
    return changed_json("own", "model.json", lambda stored: change(stored["description"]["keras"]))


def lambda_layer(place: Place) -> Json:
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "name": "evil",
            "function": {"class_name": "__lambda__", "config": {"code": lambda_code(place.canary)}},
        },
    }


def bare_lambda(place: Place) -> Json:
    return {"class_name": "__lambda__", "config": {"value": lambda_code(place.canary)}}


def evil_import(place: Place) -> Json:
    """A class of a module that lies in the run's folder."""
    evil_module(place.folder, place.canary)
    return {"module": "evil", "class_name": "Dense"}


def dense(**config: Any) -> Callable[[Place], None]:
    """A run of a user's model whose first dense layer has these settings."""
    return structure(lambda keras: keras["config"]["layers"][2]["config"].update(config))


def wide(keras: Json) -> None:
    """Makes the middle of a model 10^9 wide, in a way that fits together."""
    hidden, classes = keras["config"]["layers"][2:4]
    hidden["config"]["units"] = 10**9
    classes["build_config"]["input_shape"] = [None, 10**9]


def inserted(*layers: Json) -> Callable[[Place], None]:
    """A run of a user's model with other layers in the middle of it."""

    def change(keras: Json) -> None:
        keras["config"]["layers"][1:1] = list(layers)

    return structure(change)


def keras_layer(name: str, **config: Any) -> Json:
    return {
        "module": "keras.layers",
        "class_name": name,
        "config": {"name": name.lower(), **config},
        "registered_name": None,
    }


def nested(depth: int) -> Callable[[Json], None]:
    """Models in models, or wrappers in wrappers."""

    def change(keras: Json) -> None:
        inner = keras_layer("Activation", activation="relu")
        for number in range(depth):
            inner = keras_layer("TimeDistributed", layer=inner) | {"config": {"name": f"t{number}", "layer": inner}}
        keras["config"]["layers"][1:1] = [inner]

    return change


def metric(**config: Any) -> Callable[[Place], None]:
    """A run of a user's model that is compiled with this metric."""

    def change(keras: Json) -> None:
        name = config.pop("class_name")
        keras["compile_config"]["metrics"] = [
            {"module": "keras.metrics", "class_name": name, "config": config, "registered_name": None}
        ]

    return structure(change)


def blueprint(**groups: Any) -> Callable[[Place], None]:
    return changed_json("own", "model.json", lambda stored: stored.update(groups))


def huge_blueprint(stored: Json) -> None:
    for group in ("trainable", "optimizer"):
        for start in stored[group]:
            start["shape"] = [10**6, 10**6]


def weights(content: bytes) -> Callable[[Place], None]:
    return replaced("own", "weights.safetensors", lambda _: content)


def many_tensors(place: Place) -> None:
    """A header of 7 MB: 100,000 tensors without values."""
    header = {f"{number:07}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(100_000)}
    weights(safetensors(header, b""))(place)


def sparse_weights(place: Place) -> None:
    """A file of 4 GB that takes no space, and declares that it is all weights."""
    run = copied("own", place)
    content = safetensors({"x": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}}, b"")
    (SeedFiles(run).folder / "weights.safetensors").write_bytes(content)
    os.truncate(SeedFiles(run).folder / "weights.safetensors", len(content) + 2**32)


def pickle_under_the_name(place: Place) -> None:
    replaced("own", "weights.safetensors", lambda _: pickled(place.canary))(place)


def main_function(place: Place) -> Json:
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {
            "units": 4,
            "activation": {
                "module": "__main__",
                "class_name": "function",
                "config": "_honest",
                "registered_name": "function",
            },
        },
    }


def retyped(place: Place) -> None:
    """The weights under their names, in their shapes, as 64-bit numbers."""
    run = copied("own", place)
    starts = [
        start
        for group in ("trainable", "non_trainable")
        for start in json.loads((SeedFiles(run).folder / "model.json").read_text())[group]
    ]
    header, offset = {}, 0
    for start in starts:
        size = 8
        for side in start["shape"]:
            size *= side
        header[start["name"]] = {"dtype": "F64", "shape": start["shape"], "data_offsets": [offset, offset + size]}
        offset += size
    (SeedFiles(run).folder / "weights.safetensors").write_bytes(safetensors(header, bytes(offset)))


_REFUSED = r"model\.json is refused: it names"
_WEIGHTS = r"weights\.safetensors is damaged"
_OTHER = r"do not have the shapes|other weights|larger than|too (large|many)|at most [\d,]+ are allowed"

CASES: dict[str, Case] = {
    "model with a Lambda layer": Case("run", layer(lambda_layer), _REFUSED),
    "model with a bare lambda": Case("run", layer(bare_lambda), _REFUSED),
    "model with a class of a module beside it": Case("run", layer(evil_import), _REFUSED),
    "model with os.system": Case(
        "run",
        layer(lambda place: {"module": "os", "class_name": "system", "config": {"command": f"touch {place.canary}"}}),
        _REFUSED,
    ),
    "model with a function of __main__": Case("run", layer(main_function), _REFUSED),
    "model with a registered name": Case(
        "run", layer(lambda _: {"registered_name": "Custom>Dense", "module": None}), _REFUSED
    ),
    "model with a PyTorch pickle": Case(
        "run",
        layer(lambda place: keras_layer("TorchModuleWrapper", module=base64.b64encode(pickled(place.canary)).decode())),
        _REFUSED,
    ),
    "model with a SavedModel": Case(
        "run", layer(lambda place: keras_layer("TFSMLayer", filepath=str(place.outside))), _REFUSED
    ),
    "model with a vocabulary file": Case(
        "run", layer(lambda place: keras_layer("StringLookup", vocabulary=str(place.outside / "secret"))), _REFUSED
    ),
    "model with keras.saving.load_model": Case(
        "run",
        layer(
            lambda place: {
                "module": "keras.models",
                "class_name": "load_model",
                "config": {"filepath": str(place.outside)},
            }
        ),
        _REFUSED,
    ),
    "model with a type of NumPy objects": Case(
        "run",
        dense(kernel_initializer={"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}}),
        r"model\.json",
    ),
    "model with 10^9 units": Case("run", structure(wide), _OTHER),
    "model with 10^30 units": Case("run", dense(units=10**30), r"model\.json|model"),
    "model with padding of 10^6": Case(
        "run",
        inserted(
            keras_layer("Reshape", target_shape=[8, 8, 1]),
            keras_layer("ZeroPadding2D", padding=[[10**5, 10**5], [10**5, 10**5]]),
            keras_layer("GlobalAveragePooling2D"),
        ),
        r"model",
    ),
    "model that repeats 10^8 times": Case(
        "run",
        inserted(
            keras_layer("Flatten") | {"config": {"name": "f"}},
            keras_layer("RepeatVector", n=10**8),
            keras_layer("GlobalMaxPooling1D"),
        ),
        _OTHER,
    ),
    "model of 30,000 layers": Case(
        "run", inserted(*[keras_layer("Activation", activation="relu")] * 30_000), r"too many|larger"
    ),
    "model nested 200 times": Case("run", structure(nested(200)), r"model\.json|model"),
    "model nested 50,000 times": Case(
        "run",
        replaced(
            "own",
            "model.json",
            lambda text: text.replace(b'"keras": {', b'"keras": ' + b'{"config": ' * 50_000 + b"{", 1),
        ),
        r"model\.json is damaged",
    ),
    "model with a metric of 10^5 x 10^5": Case("run", metric(class_name="MeanIoU", num_classes=10**5), r"model\.json"),
    "model with a metric of 10^9 thresholds": Case(
        "run", metric(class_name="AUC", num_thresholds=10**9), r"model\.json"
    ),
    "model whose blueprint has other shapes": Case("run", changed_json("own", "model.json", huge_blueprint), _WEIGHTS),
    "model whose blueprint has no shapes": Case("run", blueprint(trainable=[{"name": "x"}]), r"model\.json is damaged"),
    "model whose blueprint is a text": Case("run", blueprint(trainable="x"), r"model\.json is damaged"),
    "model whose blueprint has negative shapes": Case(
        "run", blueprint(trainable=[{"name": "x", "shape": [-1], "dtype": "O"}]), r"damaged"
    ),
    "weights that are a pickle": Case("run", pickle_under_the_name, _WEIGHTS),
    "weights with a header of 2^60": Case("run", weights(safetensors({}, b"", declared=2**60)), _WEIGHTS),
    "weights with a header of 2^64 - 1": Case("run", weights(struct.pack("<Q", 2**64 - 1) + b"{}"), _WEIGHTS),
    "weights that overlap": Case("run", weights(safetensors({"a": FLOATS, "b": FLOATS}, bytes(16))), _WEIGHTS),
    "weights out of range": Case(
        "run", weights(safetensors({"a": FLOATS | {"data_offsets": [2**62, 2**62 + 16]}}, bytes(16))), _WEIGHTS
    ),
    "weights of a huge shape": Case(
        "run", weights(safetensors({"a": FLOATS | {"shape": [2**62, 2**62]}}, bytes(16))), _WEIGHTS
    ),
    "weights of an unknown type": Case(
        "run", weights(safetensors({"a": FLOATS | {"dtype": "PICKLE"}}, bytes(16))), _WEIGHTS
    ),
    "weights with 100,000 names": Case("run", many_tensors, _WEIGHTS),
    "weights with a header of brackets": Case("run", weights(struct.pack("<Q", 10**6) + b"[" * 10**6), _WEIGHTS),
    "weights of 4 GB of nothing": Case("run", sparse_weights, _WEIGHTS),
    "weights of another type": Case("run", retyped, _WEIGHTS),
}
