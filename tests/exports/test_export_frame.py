"""An export answers as its run does, is written whole or not at all, and says what it is and how it was checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import InputError, ModelError, StorageError, UnknownNameError
from fittingroom.exports import onnx_file
from fittingroom.exports.export_subject import ExportSubject, Files

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
    opened = session(exported.path)
    images = ARRAYS[:7] if name in ("arrays", "bare") else fr.load("digits").train.images[:7]
    (probabilities,) = opened.run(["probabilities"], {"images": images})
    told = np.stack([answer.probabilities for answer in run.answer(images)])
    np.testing.assert_allclose(probabilities, told, atol=1e-5)
    logs = opened.run(["log_probabilities"], {"images": images[:1]})[0]
    np.testing.assert_allclose(np.exp(logs), run.predict(images[:1]), atol=1e-5)


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
