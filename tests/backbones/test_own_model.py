"""A user's own model file as a backbone: without its classifier, and without running code from it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from fittingroom.backbones.backbone import find_backbone
from fittingroom.errors import InputError, ModelError, UnknownNameError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def classifier(channels: int = 3, size: int = 16) -> keras.Model:
    """A small convolutional classifier, as a user saves it."""
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", name="first"),
            keras.layers.Conv2D(5, 3, activation="relu", name="second"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def images(size: int = 16) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def test_the_features_are_what_the_classifier_takes(tmp_path: Path, cache: Path) -> None:
    model = classifier()
    path = tmp_path / "mine.keras"
    model.save(path)
    for name in (str(path), f"file:{path}"):
        backbone = find_backbone(name)
        features = backbone.frozen().features(images())
        before = keras.Model(model.inputs[0], model.layers[-3].output)
        np.testing.assert_allclose(features, before(images().astype(np.float32)), atol=1e-5)
    assert (backbone.title, backbone.input_size, backbone.blocks) == ("mine.keras", 16, 1)
    tail = backbone.tail(1)
    np.testing.assert_allclose(tail.predict_on_batch(backbone.frozen(1).features(images())), features, atol=1e-5)
    assert {variable.path for variable in tail.trainable_variables} == {"second/kernel", "second/bias"}
    assert backbone.notes((16, 16)) == (
        "The licence of the weights of mine.keras is not known. Find it out before you share what you make.",
    )
    assert find_backbone(backbone.name).frozen() == backbone.frozen()
    classifier().save(path)
    with pytest.raises(ModelError, match=r"mine\.keras is not the file that was used before: its SHA-256 begins with"):
        find_backbone(backbone.name)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="is not a model that Keras saved"):
        find_backbone(str(path))


def test_a_grey_model_sees_colours_as_brightness_and_pixels_that_nothing_scales_are_said(
    tmp_path: Path, cache: Path
) -> None:
    grey = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten()])
    grey.save(tmp_path / "grey.keras")
    backbone = find_backbone(str(tmp_path / "grey.keras"))
    colours = images(8)
    features = backbone.frozen().features(colours).reshape(3, 8, 8)
    np.testing.assert_allclose(features, colours @ [0.299, 0.587, 0.114], atol=1e-3)
    assert backbone.blocks == 0
    assert (
        "grey.keras has no Rescaling or Normalization layer, so it sees pixels of 0 to 255."
        in backbone.notes((8, 8))[0]
    )


def changed(path: Path, **members: bytes) -> None:
    """Writes other contents for members of a Keras file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents.update({name.replace("__", "."): content for name, content in members.items()})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    path.write_bytes(stream.getvalue())


def test_no_code_in_a_file_is_run(tmp_path: Path, cache: Path) -> None:
    path, trap = tmp_path / "mine.keras", tmp_path / "ran"
    code = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()])
    code.save(path)
    with pytest.raises(ModelError, match=r"mine\.keras cannot be a backbone: it names keras\.layers\.Lambda"):
        find_backbone(str(path)).frozen()

    classifier().save(path)
    with zipfile.ZipFile(path) as archive:
        structure = json.loads(archive.read("config.json"))
    structure["config"]["layers"][1] = {
        "module": "builtins", "class_name": "exec", "config": f"open({str(trap)!r}, 'w')", "registered_name": None,
    }  # fmt: skip
    changed(path, config__json=json.dumps(structure).encode())
    with pytest.raises(ModelError, match=r"it names builtins\.exec, which is not one of Keras's own"):
        find_backbone(str(path)).frozen()
    assert not trap.exists()


def test_a_file_that_is_no_backbone_is_refused_with_the_reason(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "mine.keras"

    def refused(model: keras.Model | None, message: str, **members: bytes) -> None:
        if model is not None:
            model.save(path)
            if members:
                changed(path, **members)
        with pytest.raises(ModelError, match=message):
            find_backbone(str(path)).frozen()

    refused(None, r"mine\.keras cannot be read as a backbone: No such file")
    refused(keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Flatten()]), "it takes 8 × 9 × 3; square images of")
    refused(keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]), "it takes any × any × 3")
    refused(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Reshape((64, 3))]), "it gives 64 × 3 for one image")
    refused(classifier(), r"mine\.keras is not a model that Keras saved", config__json=b"{")
    refused(classifier(), r"its config\.json describes nothing", config__json=b"[]")
    refused(classifier(), "more than the 16,777,216 that are read", config__json=b" " * 2**24 + b"{}")
    refused(classifier(), "cannot be a backbone", model__weights__h5=b"nothing")
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    refused(classifier(), r"mine\.keras is not a model that Keras saved", config__json=deep)


@pytest.mark.parametrize("name", ["old.h5", "file:weights.pth", "net.onnx", "file:folder"])
def test_other_kinds_of_files_are_not_read(name: str) -> None:
    with pytest.raises(
        ModelError, match=r"only Keras's own format \(model\.save\('name\.keras'\)\) and safetensors are"
    ):
        find_backbone(name)


def test_safetensors_of_the_known_network_are_a_backbone(tmp_path: Path) -> None:
    known = find_backbone("efficientnet-lite0")
    weights = known.tail_weights("all")
    path = tmp_path / "tuned.safetensors"
    save_file({**weights, "head_conv/kernel": weights["head_conv/kernel"] * 2}, path)
    own = find_backbone(str(path))
    pictures = images(224)[:1]
    assert own.frozen().key != known.frozen().key
    assert own.frozen(1).features(pictures).shape == (1, 7, 7, 320)
    np.testing.assert_array_equal(own.frozen(1).features(pictures), known.frozen(1).features(pictures))
    assert not np.allclose(own.frozen().features(pictures), known.frozen().features(pictures))
    assert own.class_log_probabilities(pictures) is None  # it came without a classifier


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"a": np.zeros(3, np.float32)},
            r"does not hold the weights of EfficientNet-Lite0.*it lacks block10_depthwise",
        ),
        (None, "is not a safetensors file"),
    ],
    ids=["others", "none"],
)
def test_other_safetensors_are_refused(tmp_path: Path, tensors: dict[str, Any] | None, message: str) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"\xff" * 100) if tensors is None else save_file(tensors, path)
    with pytest.raises(InputError, match=message):
        find_backbone(str(path))


def test_a_name_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'keras:ResNet50'"):
        find_backbone("keras:Resnet50")
