"""An export answers as its run does, is written whole or not at all, and says what it is and how it was checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.exported_network import check_precision
from fittingroom.errors import InputError, ModelError, RunError, StorageError, UnknownNameError
from fittingroom.exports import onnx_file
from fittingroom.exports.export_subject import ExportSubject, Files
from fittingroom.exports.tflite_metadata import facts_in

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("quick_compiler")

VIEWS = fr.Recipe(
    name="views", convolutions=((4, 4),), hidden=(8,), batch_norm=True, residual=False,
    test_views=("shift 1", "flip"), epochs=1, batch_size=64,
)  # fmt: skip


CLASSES = np.arange(120) % 3
# So far apart that probabilities are clipped.
ARRAYS = (np.random.default_rng(0).normal(size=(120, 8, 8)) + 30 * CLASSES[:, None, None]).astype(np.float32)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, fr.Run]:
    """Several seeds; test views; arrays as they came, whose loss clips; arrays without validation."""
    import keras

    folder = tmp_path_factory.mktemp("exported")

    def network() -> Any:
        layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
        model = keras.Sequential([keras.layers.Input((8, 8)), *layers])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    given = fr.fit(network(), ARRAYS, CLASSES, epochs=2, validation_split=0.5, out=folder / "arrays", verbose=0)
    bare = fr.fit(network(), ARRAYS, CLASSES, epochs=1, validation_split=0.0, out=folder / "bare", verbose=0)
    return {
        "seeds": fr.train("digits", fr.Recipe(name="small", hidden=(8,), epochs=1), seeds=2, out=folder / "seeds"),
        "views": fr.train("digits", VIEWS, out=folder / "views"),
        "arrays": given,
        "bare": fr.open_run(bare.path),
    }


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", ["seeds", "views", "arrays", "bare"])
def test_onnx_answers_as_the_run_does(runs: Mapping[str, fr.Run], name: str, tmp_path: Path) -> None:
    run = runs[name]
    given = ARRAYS[60:] if name == "arrays" else None
    exported = run.export("onnx", tmp_path / "m.onnx", images=given)
    checked = exported.facts["checked"]
    assert checked["same_class"] == checked["images"] > 0
    assert checked["largest_difference"] <= 1e-5
    assert checked["kind"] == {"arrays": "given", "bare": "synthetic"}.get(name, "validation")
    assert f"{checked['kind']} images" in str(exported)
    assert ("probabilities, which are not calibrated," in str(exported)) == (name == "bare")
    opened = session(exported.path)
    images = ARRAYS[:7] if name in ("arrays", "bare") else fr.load("digits").train.images[:7]
    (probabilities,) = opened.run(["probabilities"], {"images": images})
    told = np.stack([answer.probabilities for answer in run.answer(images)])
    np.testing.assert_allclose(probabilities, told, atol=1e-5)
    logs = opened.run(["log_probabilities"], {"images": images[:1]})[0]
    np.testing.assert_allclose(np.exp(logs), run.predict(images[:1]), atol=1e-5)
    in_opencv = cv2.dnn.readNetFromONNX(str(exported.path))
    in_opencv.setInput(images, "images")
    np.testing.assert_allclose(in_opencv.forward("probabilities"), told, atol=1e-5)


@pytest.mark.parametrize("name", ["seeds", "views", "arrays"])
def test_tflite_answers_as_the_run_does_and_in_integers_says_what_it_loses(
    runs: Mapping[str, fr.Run], name: str, tmp_path: Path
) -> None:
    run, given = runs[name], ARRAYS[60:] if name == "arrays" else None
    exported = run.export("tflite", tmp_path / "m.tflite", images=given)
    assert exported.facts["checked"]["by"] == "LiteRT"
    assert exported.facts["checked"]["largest_difference"] <= exported.facts["checked"]["tolerance"] == 1e-5
    assert facts_in(exported.path.read_bytes()) == exported.facts["about"]
    small = run.export("tflite", tmp_path / "small.tflite", images=given, int8=True)
    loss = small.facts["checked"]["loss"]
    assert loss["sentence"] in str(small)
    assert ("accuracy" in loss) == (name != "arrays")
    assert loss["same_class"] > 0.9


@pytest.mark.parametrize("name", ["views", "seeds", "arrays"])
def test_plain_keras_loads_a_file_that_answers_as_the_run_does(
    runs: Mapping[str, fr.Run], name: str, tmp_path: Path
) -> None:
    import keras

    run, given = runs[name], ARRAYS[60:] if name == "arrays" else None
    exported = run.export("keras", tmp_path / "m.keras", images=given)
    assert run.export("keras", tmp_path / "again.keras", images=given).path.read_bytes() == exported.path.read_bytes()
    model = keras.models.load_model(exported.path)
    images = ARRAYS[:7] if name == "arrays" else fr.load("digits").train.images[:7]
    told = np.stack([answer.probabilities for answer in run.answer(images)])
    np.testing.assert_allclose(model.predict(images, verbose=0), told, atol=1e-5)
    assert [layer.name for layer in model.layers if layer.name.startswith("seed_")] == [
        f"seed_{place}" for place in range(len(run))
    ]
    with zipfile.ZipFile(exported.path) as archive:
        assert json.loads(archive.read("metadata.json"))["fittingroom"] == exported.facts["about"]


def test_the_metadata_say_what_the_run_knows_and_nothing_of_this_machine(
    runs: Mapping[str, fr.Run], tmp_path: Path
) -> None:
    exported = runs["seeds"].export("onnx", tmp_path / "m.onnx")
    metadata = session(exported.path).get_modelmeta().custom_metadata_map
    facts = {name: metadata[name] if isinstance(fact, str) else json.loads(metadata[name])
             for name, fact in exported.facts["about"].items()}  # fmt: skip
    assert facts == exported.facts["about"]
    assert facts["class_names"] == [str(digit) for digit in range(10)]
    assert (facts["image_shape"], facts["image_type"], facts["scale"]) == ([8, 8], "uint8", 16.0)
    assert facts["seeds"] == [0, 1]
    assert facts["licences"] == {"data": "CC BY 4.0"}
    accuracy = facts["accuracy"]
    assert accuracy["interval"][0] < accuracy["accuracy"] < accuracy["interval"][1]
    assert str(tmp_path.parent) not in json.dumps(dict(metadata))


def test_an_export_has_the_same_bytes_again_and_replaces_nothing_else(
    runs: Mapping[str, fr.Run], tmp_path: Path
) -> None:
    run = runs["seeds"]
    first, second = run.export("onnx", tmp_path / "a"), run.export("onnx", tmp_path / "b.onnx")
    assert first.path.name == "a.onnx"
    assert first.path.read_bytes() == second.path.read_bytes()
    assert run.export("onnx", tmp_path / "a.onnx").facts["was_there"]
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists, and is not this export"):
        run.export("onnx", tmp_path / "mine.onnx")
    assert (tmp_path / "mine.onnx").read_bytes() == b"mine"
    with pytest.raises(InputError, match=r"ends with \.onnx"):
        run.export("onnx", tmp_path / "m.tflite")
    with pytest.raises(UnknownNameError, match="onnx"):
        run.export("onx", tmp_path / "m")
    with pytest.raises(InputError, match="no setting 'int8'"):
        run.export("onnx", tmp_path / "m", int8=True)


def test_a_run_in_memory_is_exported_where_it_is_told(tmp_path: Path) -> None:
    import keras

    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax", dtype="float32")]
    model = keras.Sequential([keras.layers.Input((8, 8)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    run = fr.fit(model, ARRAYS, CLASSES, epochs=1, validation_split=0.5, out=False, verbose=0)
    with pytest.raises(RunError, match=r"run\.export\('onnx', PATH\)"):
        run.export("onnx")
    first, second = (run.export("onnx", tmp_path / name) for name in ("a.onnx", "b.onnx"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.facts["about"]["run"] == "unsaved"


def test_a_network_in_16_bits_is_refused_by_its_layer() -> None:
    import keras

    layers = [keras.layers.Dense(3), keras.layers.Dense(3, dtype="mixed_bfloat16", name="half")]
    with pytest.raises(ModelError, match=r"'half' \(Dense\) computes in bfloat16"):
        check_precision(keras.Sequential([keras.layers.Input((8,)), *layers]))


def test_what_answers_otherwise_is_not_written_and_the_first_image_is_named(
    runs: Mapping[str, fr.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_of = onnx_file.answers_of

    def other(subject: ExportSubject, files: Files) -> Any:
        right = answers_of(subject, files)
        return lambda images: np.where(np.arange(len(images))[:, None] == 5, right(images)[:, ::-1], right(images))

    monkeypatch.setattr(onnx_file, "answers_of", other)
    with pytest.raises(ModelError, match=r"validation image 5 is .* to the run and .* to onnxruntime"):
        runs["seeds"].export("onnx", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_and_a_missing_runtime_leave_nothing(
    runs: Mapping[str, fr.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="disk is full"):
            runs["seeds"].export("onnx", tmp_path / "m.onnx")
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "onnxruntime", None)
        with pytest.raises(InputError, match=r"pip install 'fittingroom\[export\]'"):
            runs["seeds"].export("onnx", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_for_the_hub_has_card_weights_and_a_program_that_answers(
    runs: Mapping[str, fr.Run], tmp_path: Path
) -> None:
    from PIL import Image
    from safetensors.numpy import load_file

    run, about = runs["seeds"], {"model": {"license": "mit"}}
    folder = run.export("hub", tmp_path / "hub", about=about).path
    assert run.export("hub", folder, about=about).facts["was_there"]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\n")
    assert 'license: "mit"' in card.partition("\n---\n")[0]
    weights = load_file(folder / "model.safetensors")
    assert {name.partition("/")[0] for name in weights} == {"seed-0", "seed-1"}
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"]["7"] == "7"
    assert config["keras"]["class_name"] == "Sequential"
    image = fr.load("digits").train.images[0]
    Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(tmp_path / "digit.png")
    command = [sys.executable, str(folder / "predict.py"), str(tmp_path / "digit.png")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    (answer,) = run.answer(image[None])
    assert printed[0] == f"{answer.probability:.1%}  {answer.label}"
    (folder / "more.txt").write_text("mine")
    with pytest.raises(InputError, match="is not this export"):
        run.export("hub", folder, about=about)


def test_what_no_graph_holds_is_named_and_goes_through_jax2onnx_where_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jax
    import keras

    class Turned(keras.layers.Layer):
        """Calls JAX itself, which cannot be followed."""

        def call(self, values: Any) -> Any:
            return jax.numpy.flip(values, -1) if not isinstance(values, keras.KerasTensor) else self._unknown(values)

        def compute_output_spec(self, values: Any) -> Any:
            return keras.KerasTensor(values.shape, values.dtype)

        def _unknown(self, values: Any) -> Any:
            raise TypeError(f"not to be followed: {values}")

    layers = [keras.layers.Flatten(), Turned(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.layers.Input((8, 8)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    run = fr.fit(model, ARRAYS / 100, CLASSES, epochs=1, validation_split=0.5, out=tmp_path / "run", verbose=0)
    for to in ("onnx", "keras"):
        with pytest.raises(ModelError, match=r"(?i)turned"):
            run.export(to, tmp_path / "m")

    (tmp_path / "with").mkdir()
    (tmp_path / "with" / "jax2onnx.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path / "with"))
    exported = run.export("onnx", tmp_path / "m.onnx")
    assert exported.facts["checked"]["same_class"] > 0
    assert session(exported.path).get_modelmeta().custom_metadata_map["recipe"] == exported.facts["about"]["recipe"]


STAND_IN = '''
"""Writes a function whose answers it asks for, for the one network of the test: a linear function and a softmax."""
import numpy as np, onnx
from onnx import helper, numpy_helper

def to_onnx(function, inputs, input_names, return_mode, output_path, opset=None):
    zero = np.zeros((1, 64), np.float32)
    points = np.concatenate([zero, np.eye(64, dtype=np.float32)]).reshape(-1, 8, 8)
    logits = np.log(np.asarray(function(points), np.float64))
    logits -= logits[:, :1]
    kernel, bias = (logits[1:] - logits[0]).astype(np.float32), logits[0].astype(np.float32)
    nodes = [
        helper.make_node("Flatten", [input_names[0]], ["flat"]),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output_0"]),
    ]
    kept = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(input_names[0], 1, ["n", 8, 8])],
        [helper.make_tensor_value_info("output_0", 1, ["n", 3])],
        kept,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), output_path)
'''
