"""Silhouettes laid over a photo: what fits best, and what that is measured by."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.photos.conversion import ForegroundStyle
from fittingroom.photos.foreground import _GRID as GRID
from fittingroom.photos.foreground import Silhouettes, _colour_kinds, _ColourKinds, _expected, _parting
from tests.photos.drawing import photo, training_images

BLUE, YELLOW = np.array([20, 40, 200], np.uint8), np.array([220, 220, 60], np.uint8)


def half() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((GRID, GRID), np.bool_)
    mask[:, GRID // 2 :] = True
    return mask


def test_templates_lie_in_several_places_and_sizes() -> None:
    templates = Silhouettes(np.ones((1, 28 * 28), np.float32)).templates.reshape(-1, GRID, GRID)
    shares = templates.mean(axis=(1, 2))
    assert len(templates) == 81
    assert templates.min() >= 0
    assert templates.max() <= 1
    assert shares.min() == pytest.approx(0.36, abs=0.02)
    assert shares.max() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(templates[:, ::-1].mean(axis=0), templates.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(templates[:, :, ::-1].mean(axis=0), templates.mean(axis=0), atol=0.01)


def test_few_silhouettes_are_enough() -> None:
    assert len(Silhouettes(np.eye(3, 28 * 28, dtype=np.float32)).templates) == 3 * 81


def test_mask_that_parts_two_colours_is_rated_best_and_one_across_them_worst() -> None:
    mask = half()
    kinds = _colour_kinds(np.where(mask[..., None], BLUE, YELLOW))
    masks = np.stack([mask, mask.T, np.roll(mask, 3, axis=1)]).reshape(3, -1).astype(np.float32)
    right, across, shifted = _parting(masks, kinds)
    assert right > shifted > across


def test_parting_is_the_mutual_information_but_for_a_constant() -> None:
    """Two colours, half of the picture each: a mask of one of them says ln 2 nats about the colour, one across nothing.

    The border counts half a picture more as background, with both colours alike.
    """
    mask = half()
    border = np.full(2, GRID * GRID / 4, np.float32)
    kinds = _ColourKinds(np.zeros((2, 3), np.float32), np.eye(2, dtype=np.float32)[mask.ravel().astype(int)], border)
    right, across = _parting(np.stack([mask, mask.T]).reshape(2, -1).astype(np.float32), kinds)
    # Within the right mask one colour; around it, a half of one and a quarter of each from the border.
    around = 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    assert right == pytest.approx(around, abs=1e-3)
    assert across == pytest.approx(-1.5 * np.log(2), abs=1e-3)


def test_most_is_expected_where_the_shirt_is() -> None:
    style = ForegroundStyle.of(training_images().astype(np.float32))
    assert style is not None
    picture, mask = photo(corner=(90, 120), side=(170, 240))
    likely = _expected(style.silhouettes.templates, _colour_kinds(np.asarray(picture)))
    middle = np.array([likely.sum(axis=1) @ np.arange(GRID), likely.sum(axis=0) @ np.arange(GRID)]) / likely.sum()
    there = np.argwhere(mask).mean(axis=0) / mask.shape * GRID - 0.5
    np.testing.assert_allclose(middle, there, atol=1.5)
