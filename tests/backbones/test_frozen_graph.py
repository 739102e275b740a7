"""Of a Keras model whose layers are known, onnxruntime makes what Keras makes, at every place where it can be cut."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from fittingroom.backbones import keras_extractor
from fittingroom.backbones.keras_extractor import KerasExtractor
from fittingroom.backbones.own_model import own_extractor

layers = keras.layers


def many_kinds() -> keras.Model:
    """A network with each kind of layer that is known."""
    images = keras.Input((32, 32, 3))
    value = layers.Rescaling([1 / 255, 1 / 100, 1 / 50], offset=[0.1, 0, -0.1])(images)
    value = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06])(value)
    value = layers.ZeroPadding2D(((0, 1), (1, 2)))(value)
    value = layers.Conv2D(8, 3, strides=2, use_bias=False)(value)
    stem = layers.ReLU(6)(layers.BatchNormalization(scale=False)(value))
    value = layers.DepthwiseConv2D(3, padding="same", activation="silu")(stem)
    value = layers.SeparableConv2D(8, 3, padding="same", activation="hard_sigmoid")(value)
    value = layers.Add()([stem, value])
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(value))
    gate = layers.Activation("sigmoid")(layers.Conv2D(8, 1, activation="relu")(gate) - 0.2)
    value = layers.Multiply()([value, gate])
    pooled = layers.MaxPooling2D(3, strides=2, padding="same")(value)
    value = layers.Concatenate()([pooled, layers.AveragePooling2D(3, 2, padding="same")(value), pooled * 0.5])
    value = layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.5)(value))
    value = layers.Dense(10, activation="gelu")(value)
    value = layers.Conv2D(12, 3, groups=2, activation="hard_silu", padding="same")(value)
    return keras.Model(images, layers.GlobalMaxPooling2D()(value))


def saved(model: keras.Model, path: Path) -> KerasExtractor:
    random = np.random.default_rng(1)  # no zeros for biases, no ones for variances
    model.set_weights([random.uniform(0.1, 0.9, np.shape(weights)) for weights in model.get_weights()])
    model.save(path)
    extractor = own_extractor(path).extractor
    assert isinstance(extractor, KerasExtractor)
    return extractor


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.slow
def test_onnxruntime_gives_what_keras_gives(
    images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path))
    extractor = saved(many_kinds(), tmp_path / "many.keras")
    assert extractor.parallel
    for unfreeze in range(extractor.blocks + 1):
        by_keras = extractor._predict(keras_extractor._head(extractor.source, unfreeze), images)
        np.testing.assert_allclose(extractor.run(images, unfreeze), by_keras, rtol=1e-4, atol=1e-5)
    assert extractor.blocks == 2


def test_keras_runs_what_is_not_known(images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path))
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.UpSampling2D(2, interpolation="bicubic"), layers.Conv2D(4, 3)]
    )
    extractor = saved(model, tmp_path / "other.keras")
    assert not extractor.parallel
    expected = np.asarray(model(images.astype(np.float32))).mean(axis=(1, 2))
    np.testing.assert_allclose(extractor.run(images, 0), expected, rtol=1e-4)
    maps = extractor.maps(images)
    assert maps is not None
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), expected, rtol=1e-4)
