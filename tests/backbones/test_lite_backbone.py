"""EfficientNet-Lite0: ONNX and Keras make the same of an image."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.backbones.backbone import find_backbone
from fittingroom.errors import InputError, UnknownNameError


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


def test_frozen_part_and_tail_give_together_what_the_whole_gives(images: np.ndarray) -> None:
    backbone = find_backbone("efficientnet-lite0")
    pooled = backbone.frozen().features(images, threads=1)
    assert pooled.shape == (2, *backbone.frozen().shape) == (2, 1280)
    for unfreeze in (1, 3):
        frozen, tail = backbone.frozen(unfreeze), backbone.tail(unfreeze)
        maps = frozen.features(images, threads=1)
        assert maps.shape[1:] == frozen.shape == tail.input_shape[1:]
        np.testing.assert_allclose(tail(maps), pooled, atol=1e-4)
        assert backbone.tail_weights(unfreeze).keys() == {variable.path for variable in tail.variables}


def test_unknown_backbones_and_too_many_blocks_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'efficientnet'\. Did you mean 'efficientnet-lite0'"):
        find_backbone("efficientnet")
    with pytest.raises(InputError, match="unfreeze = 18: efficientnet-lite0 has 17 blocks"):
        find_backbone("efficientnet-lite0").frozen(18)
