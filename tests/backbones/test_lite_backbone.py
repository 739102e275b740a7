"""EfficientNet-Lite0: ONNX, Keras and PyTorch make the same of an image."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import fittingroom
from benchmarks.backbone_values import EVERY, pictures
from fittingroom.backbones.backbone import find_backbone
from fittingroom.errors import InputError, UnknownNameError

KNOWN = json.loads(Path(__file__).with_name("efficientnet_lite0.json").read_text(encoding="utf-8"))
"""What PyTorch makes of `pictures()`."""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return pictures()


def test_features_and_classes_are_those_of_pytorch(images: np.ndarray) -> None:
    backbone = find_backbone("efficientnet-lite0")
    features, classes = backbone.frozen().features(images), backbone.class_log_probabilities(images)
    assert features.dtype == np.float32
    assert features.shape == (3, 1280)
    np.testing.assert_allclose(features[:, ::EVERY], KNOWN["features"], atol=1e-4)
    assert classes is not None
    np.testing.assert_allclose(classes[:, ::EVERY], KNOWN["class_log_probabilities"], atol=1e-4)
    np.testing.assert_allclose(np.exp(classes).sum(axis=1), 1, atol=1e-5)
    whole = backbone.tail("all").predict_on_batch(images)
    np.testing.assert_allclose(whole[:, ::EVERY], KNOWN["features"], atol=1e-4)


def test_features_depend_on_nothing_but_the_image(images: np.ndarray) -> None:
    frozen = pickle.loads(pickle.dumps(find_backbone("efficientnet-lite0").frozen()))
    many = np.concatenate([images] * 7)
    features = frozen.features(many, threads=2)
    np.testing.assert_array_equal(features, frozen.features(many, threads=1))
    assert frozen.features(many[:0]).shape == (0, 1280)
    grey = images[:, :100, :150, 0]  # of another size, too
    np.testing.assert_allclose(frozen.features(grey), frozen.features(np.stack([grey] * 3, axis=-1)), atol=1e-5)


@pytest.mark.parametrize("wrong", [np.zeros((1, 9, 9, 4), np.uint8), np.zeros((9, 9), np.uint8), np.zeros((1, 9, 9))])
def test_what_is_no_row_of_images_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="a backbone takes uint8 images"):
        find_backbone("efficientnet-lite0").frozen().features(wrong)


def test_frozen_part_and_tail_give_together_what_the_whole_gives(images: np.ndarray) -> None:
    backbone = find_backbone("efficientnet-lite0")
    pooled = backbone.frozen().features(images, threads=1)
    assert pooled.shape == (3, *backbone.frozen().shape) == (3, 1280)
    for unfreeze in (1, 3):
        frozen, tail = backbone.frozen(unfreeze), backbone.tail(unfreeze)
        maps = frozen.features(images, threads=1)
        assert maps.shape[1:] == frozen.shape == tail.input_shape[1:]
        np.testing.assert_allclose(tail(maps), pooled, atol=1e-4)
        assert backbone.tail_weights(unfreeze).keys() == {variable.path for variable in tail.variables}


def test_a_model_of_ones_own_can_be_built_on_the_backbone(images: np.ndarray) -> None:
    model = fittingroom.backbone("efficientnet-lite0", unfreeze=1, pooled=False)
    assert model.output_shape == (None, 7, 7, 1280)
    assert [variable.path for variable in model.trainable_variables] == ["head_conv/kernel"]
    assert find_backbone("efficientnet-lite0").keras_model().trainable_variables == []


def test_small_images_and_an_unknown_licence_are_said() -> None:
    backbone = find_backbone("efficientnet-lite0")
    assert backbone.notes((224, 300, 3)) == ()
    (note,) = backbone.notes((28, 28))
    assert note.startswith("The images are 28×28 pixels and EfficientNet-Lite0 sees 224×224: they are enlarged")
    (note,) = dataclasses.replace(backbone, licence=None).notes((224, 224))
    assert note.startswith("The licence of the weights of EfficientNet-Lite0 is not known.")


def test_unknown_backbones_and_too_many_blocks_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'efficientnet'\. Did you mean 'efficientnet-lite0'"):
        find_backbone("efficientnet")
    with pytest.raises(InputError, match="unfreeze = 18: efficientnet-lite0 has 17 blocks"):
        find_backbone("efficientnet-lite0").frozen(18)
