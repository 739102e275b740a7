"""What the exported program has in place of OpenCV and Pillow gives what they give."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fittingroom.data.resizing import fitted
from fittingroom.exports.program import numpy_opencv
from fittingroom.exports.program.minimum_cut import DIRECTIONS, source_side
from fittingroom.exports.program.numpy_grab_cut import RandomNumbers, kmeans
from fittingroom.exports.program.numpy_image import NumpyImage
from fittingroom.exports.program.numpy_resize import resampled

Array = NDArray[Any]


SIZES = (
    ((40, 30), (20, 15)),
    ((90, 60), (30, 20)),
    ((64, 48), (24, 24)),
    ((13, 77), (24, 24)),
    ((43, 64), (85, 128)),
    ((37, 21), (128, 73)),
    ((50, 31), (50, 19)),
    ((201, 301), (85, 128)),
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20)


def scene(random: np.random.Generator, height: int, width: int) -> Array:
    """A blot on a ground of another colour, with folds and noise."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    ground, colour = random.integers(0, 256, (2, 3))
    blot = (rows - 0.4 * height / max(height, width)) ** 2 + (columns - 0.35) ** 2 < random.uniform(0.03, 0.09)
    folds = 30 * np.sin(random.uniform(5, 40) * rows + random.uniform(5, 40) * columns)
    picture = np.where(blot[..., None], colour, ground) + folds[..., None] + random.normal(0, 9, (height, width, 3))
    return np.asarray(np.rint(np.clip(picture, 0, 255)), np.uint8)


@pytest.mark.parametrize("method", [cv2.INTER_LINEAR, cv2.INTER_AREA])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pictures_are_resized_as_by_opencv(method: int, kind: type, random: np.random.Generator) -> None:
    for before, after in SIZES:
        for shape in (before, (*before, 3)):
            picture: Array = random.integers(0, 256, shape).astype(kind)
            size = after[::-1]
            expected = cv2.resize(picture, size, interpolation=method)
            found = numpy_opencv.resize(picture, size, method)
            assert found.dtype == expected.dtype
            away = np.abs(found.astype(np.float64) - expected)
            if kind is np.float32:
                assert away.max() < 1e-3
            elif method == cv2.INTER_AREA:
                assert away.max() == 0  # one byte off, and k-means finds other kinds of colour
            else:
                assert away.max() <= 1
                assert away.mean() < 0.02


def test_pictures_are_resized_as_by_pillow(random: np.random.Generator) -> None:
    for shape in ((200, 140, 3), (33, 290, 3), (64, 80)):
        pixels = random.integers(0, 256, shape).astype(np.uint8)
        picture, ours = Image.fromarray(pixels), NumpyImage(pixels)
        assert np.array_equal(np.asarray(ours.convert("L")), np.asarray(picture.convert("L")))
        for aspect in ("crop", "stretch"):
            small: Any = fitted(ours, 48, 64, aspect)  # type: ignore[arg-type]
            assert np.abs(np.asarray(fitted(picture, 48, 64, aspect), int) - small).max() <= 1
        mask = (pixels if pixels.ndim == 2 else pixels[..., 0]) // 128 * 255
        box = np.asarray(Image.fromarray(mask).resize((28, 19), Image.Resampling.BOX))
        assert np.abs(box.astype(int) - resampled(mask, (28, 19), box_filter=True)).max() <= 1


def test_colours_blur_and_shapes_are_those_of_opencv(random: np.random.Generator) -> None:
    picture = random.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    assert np.array_equal(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), numpy_opencv.cvtColor(picture, 0))
    assert np.array_equal(cv2.GaussianBlur(picture, (0, 0), 0.7), numpy_opencv.GaussianBlur(picture, (0, 0), 0.7))
    for side in (3, 9):
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        assert np.array_equal(kernel, numpy_opencv.getStructuringElement(0, (side, side)))
        for deviation in (0.7, 3.0):
            mask = (cv2.GaussianBlur(random.random((60, 90)), (0, 0), deviation) > 0.5).astype(np.uint8)
            assert np.array_equal(cv2.erode(mask, kernel), numpy_opencv.erode(mask, kernel))
            assert np.array_equal(cv2.dilate(mask, kernel), numpy_opencv.dilate(mask, kernel))
            assert np.array_equal(
                cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), numpy_opencv.morphologyEx(mask, 0, kernel)
            )
            for connectivity in (4, 8):
                count, parts, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)
                ours, own_parts, own_facts, _ = numpy_opencv.connectedComponentsWithStats(mask, connectivity)
                pairs = np.unique(np.stack([parts.ravel(), own_parts.ravel()], axis=1), axis=0)
                assert ours == count == len(pairs)
                assert np.array_equal(facts[pairs[:, 0]], own_facts[pairs[:, 1]])


def test_kinds_of_colour_are_those_of_opencv(random: np.random.Generator) -> None:
    for _ in range(5):
        points = random.integers(0, 256, (576, 3)).astype(np.float32) / 2
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_MAX_ITER, 10, 0)
        _, labels, centres = cv2.kmeans(points, 12, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
        kinds, found = kmeans(points, 12, 10, RandomNumbers())
        assert np.array_equal(kinds, labels[:, 0])
        assert np.allclose(found, centres, rtol=1e-6)


def test_grab_cut_is_that_of_opencv_to_the_pixel(random: np.random.Generator) -> None:
    for height, width in ((64, 48), (43, 64), (128, 96), (20, 128)):
        picture = scene(random, height, width)
        start = np.full((height, width), 3, np.uint8)
        start[:4], start[-4:], start[:, :4], start[:, -4:] = 0, 0, 0, 0
        for rounds in (1, 2):
            mask, ours = start.copy(), start.copy()
            cv2.setRNGSeed(0)
            models: list[Any] = [np.zeros((1, 65)), np.zeros((1, 65))]
            cv2.grabCut(picture, mask, None, *models, rounds, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
            numpy_opencv.grabCut(picture, ours, None, *models, rounds, 0)
            assert np.array_equal(ours % 2, mask % 2)


def test_a_picture_of_one_colour_has_a_foreground_all_the_same() -> None:
    picture, mask = np.full((20, 30, 3), 90, np.uint8), np.full((20, 30), 3, np.uint8)
    mask[:2] = 0
    numpy_opencv.grabCut(picture, mask, None, None, None, 2, 0)
    assert set(np.unique(mask)) <= {0, 1, 2, 3}
    assert (mask[:2] == 0).all()


def test_the_cut_is_the_least(random: np.random.Generator) -> None:
    """Of all ways to part a few pixels, none costs less."""
    for _ in range(20):
        terminal = random.integers(-30, 31, (3, 3))
        links = random.integers(0, 25, (4, 3, 3))

        def cost(side: Array, terminal: Array = terminal, links: Array = links) -> int:
            total = int(np.where(side, np.maximum(-terminal, 0), np.maximum(terminal, 0)).sum())
            for number, (down, right) in enumerate(DIRECTIONS):
                for row, column in np.ndindex(3, 3):
                    if (
                        row + down < 3
                        and 0 <= column + right < 3
                        and side[row, column] != side[row + down, column + right]
                    ):
                        total += int(links[number, row, column])
            return total

        sides = (np.array([number >> place & 1 for place in range(9)], np.bool_).reshape(3, 3) for number in range(512))
        assert cost(source_side(terminal, links)) == min(map(cost, sides))
