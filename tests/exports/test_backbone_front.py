"""Pictures come to a backbone as Pillow resizes them, to the level."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from fittingroom.backbones.frozen_part import prepared
from fittingroom.exports.backbone_front import as_backbone_sees, pillow_weights
from fittingroom.exports.keras_file import resized_by_layers
from fittingroom.networks.graph_builder import GraphBuilder

onnxruntime = pytest.importorskip("onnxruntime")

# Enlarged, made smaller, one axis each way, far taller than wide, left alone; grey and in colour.
SHAPES = [(28, 28), (8, 8), (37, 53), (64, 64, 3), (130, 90, 3), (90, 130, 3), (96, 40, 3), (600, 50), (96, 96)]


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_are_resized_to_the_level_as_pillow_does(shape: tuple[int, ...]) -> None:
    from fittingroom.networks.onnx_writer import onnx_bytes, to_onnx

    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    builder = GraphBuilder(shape, "uint8")
    graph = builder.graph({"seen": as_backbone_sees(builder, "images", 96)})
    assert graph.shape_of(graph.outputs["seen"]) == (96, 96, 3)
    session = onnxruntime.InferenceSession(onnx_bytes(to_onnx(graph)), providers=["CPUExecutionProvider"])
    (found,) = session.run(["seen"], {"images": images})
    np.testing.assert_array_equal(found, prepared(images, 96))
    pictures = keras.Input(shape)
    by_keras = keras.Model(pictures, resized_by_layers(graph, pictures)[0])(images.astype(np.float32))
    np.testing.assert_array_equal(np.asarray(by_keras), found)


@pytest.mark.parametrize(("before", "after"), [(28, 224), (50, 96), (301, 224), (1000, 7)])
def test_weights_are_those_of_pillow(before: int, after: int) -> None:
    row = np.random.default_rng(0).integers(0, 256, (1, before), np.uint8)
    resized = np.asarray(Image.fromarray(row).resize((after, 1), Image.Resampling.BILINEAR))
    weights = pillow_weights(before, after)
    np.testing.assert_array_equal((row @ weights.T + 2**21) >> 22, resized)
    np.testing.assert_allclose(weights.sum(axis=1) / 2**22, 1, atol=1e-5)
