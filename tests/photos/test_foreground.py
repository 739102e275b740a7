"""Where the foreground is: in drawn photos of which that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fittingroom
from fittingroom.photos.conversion import ForegroundStyle, Style
from fittingroom.photos.foreground import REFINED, Foreground, resized
from tests.photos.drawing import photo, training_images


@pytest.fixture(scope="module")
def style() -> ForegroundStyle:
    found = ForegroundStyle.of(training_images().astype(np.float32))
    assert found is not None
    return found


def overlap(picture: Any, mask: Any, style: ForegroundStyle) -> float:
    """Intersection over union of what is found and what is there."""
    small = resized(np.asarray(picture), REFINED)
    found = Foreground.find(small, style.silhouettes)
    there = resized(np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255, REFINED)[..., 0] > 127
    return float((found.mask & there).sum() / (found.mask | there).sum())


@pytest.mark.parametrize("shirt", [(225, 220, 210), (150, 140, 120)])
def test_print_is_not_taken_for_a_shirt_with_colours_like_the_floor(
    style: ForegroundStyle, shirt: tuple[int, int, int]
) -> None:
    picture, mask = photo(corner=(10, 30), side=(280, 350), colour=shirt)
    pixels = np.array(picture)
    pixels[135:275, 94:206] = 200, 30, 30
    pixels[170:205, 122:178] = 30, 60, 200
    assert overlap(pixels, mask, style) > 0.85


@pytest.mark.parametrize(("corner", "side"), [((0, 60), (240, 300)), ((30, 100), (240, 300)), ((60, 60), (240, 300))])
def test_shirt_that_touches_an_edge_is_not_cut_there(
    style: ForegroundStyle, corner: tuple[int, int], side: tuple[int, int]
) -> None:
    picture, mask = photo(corner=corner, side=side)
    assert overlap(picture, mask, style) > 0.9


def test_shirt_before_a_striped_background_is_found(style: ForegroundStyle) -> None:
    picture, mask = photo(colour=(120, 60, 120))
    pixels = np.array(picture)
    stripes = np.array([[30, 60, 160], [230, 220, 60], [240, 240, 235]], np.uint8)[np.arange(400) // 25 % 3]
    pixels[~mask] = np.broadcast_to(stripes[:, None], pixels.shape)[~mask]
    assert overlap(pixels, mask, style) > 0.9


def test_digit_on_paper_is_found_with_the_silhouettes_of_digits() -> None:
    digits = Style.of("digits", fittingroom.load("digits").train).foreground
    assert digits is not None
    mask = np.zeros((300, 300), np.bool_)
    mask[50:250, 130:170] = True  # a one
    ink = np.random.default_rng(0).normal(0, 5, (300, 300, 1)) + np.where(
        mask[..., None], [30, 30, 90], [225, 220, 210]
    )
    assert overlap(np.clip(ink, 0, 255).astype(np.uint8), mask, digits) > 0.8
