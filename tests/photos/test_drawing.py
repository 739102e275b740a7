"""A drawing becomes what the training images are: its strokes as thick, its outlines filled, in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fittingroom.errors import DataError
from fittingroom.photos.drawing import MOST_STROKES, Drawing, PenStyle
from tests.photos.drawing import training_images

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.2, 0.2]]


def clothes() -> PenStyle:
    """The style of filled things in tones of their own."""
    tones = [training_images(20, bright) for bright in (90, 140, 190, 230)]
    return PenStyle.of(np.concatenate(tones).astype(np.float32))


def digits() -> PenStyle:
    """The style of strokes three pixels thick in one ink, centred by their box."""
    images = np.zeros((30, 28, 28), np.float32)
    for number, image in enumerate(images):
        image[4:24, 8 + number % 9 : 11 + number % 9] = 255
        image[4:7, 6:22] = 255
    return PenStyle.of(images)


def image_of(values: Any, style: PenStyle, *, fills: bool | None = None) -> Any:
    return Drawing.of(values, fills).conversion(style, (28, 28)).image


def placed(points: list[list[float]], scale: float, x: float, y: float) -> list[list[float]]:
    return [[x + scale * (one - 0.5), y + scale * (other - 0.5)] for one, other in points]


def test_a_style_tells_pens_from_filled_shapes() -> None:
    assert clothes().fills
    assert not digits().fills
    assert digits().ink == 255
    assert digits().thickness * 28 == pytest.approx(3, abs=1)


def test_strokes_are_as_thick_as_the_datas_wherever_and_however_large_somebody_drew() -> None:
    stroke = [[0.5, 0.1], [0.5, 0.9]]
    large = image_of([placed(stroke, 1.0, 0.5, 0.5)], digits())
    small = image_of([placed(stroke, 0.4, 0.2, 0.7)], digits())
    np.testing.assert_allclose(small.astype(int), large.astype(int), atol=40)
    assert large.max() == 255
    assert large[14].sum() / 255 == pytest.approx(digits().thickness * 28, abs=0.5)


def test_a_drawing_lies_where_training_images_show_theirs() -> None:
    style = clothes()
    assert style.foreground is not None
    seen = np.argwhere(image_of([placed(SQUARE, 0.3, 0.3, 0.6)], style) > 20)
    assert np.ptp(seen, axis=0).max() + 1 == pytest.approx(28 * style.foreground.extent, abs=1)
    np.testing.assert_allclose((seen.min(axis=0) + seen.max(axis=0)) / 2, 13.5, atol=1)


def test_an_outline_is_filled_in_the_tone_of_training_images_and_its_lines_are_seams() -> None:
    style = clothes()
    assert style.foreground is not None
    image = image_of([SQUARE], style)
    assert image[14, 14] > image[14, np.flatnonzero(image[14])[0]]
    assert image[image > 20].mean() == pytest.approx(style.foreground.mean, abs=15)
    assert image_of([SQUARE], style, fills=False)[14, 14] == style.foreground.background
    with_gap = [[0.5, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.2, 0.2], [0.46, 0.2]]
    assert image_of([with_gap], style)[14, 14] > 100
    open_line = [[0.8, 0.2], [0.2, 0.2], [0.2, 0.8]]
    assert image_of([open_line], style)[20, 20] == style.foreground.background


def test_an_eraser_rubs_a_hole_into_what_was_filled() -> None:
    eraser = {"points": [[0.5, 0.45], [0.5, 0.55]], "erases": True}
    image = image_of([SQUARE, eraser], clothes())
    assert image[14, 14] < 40
    assert image[6, 14] > 100


def test_every_step_has_its_picture_and_the_last_is_what_the_model_gets() -> None:
    steps = Drawing.of([SQUARE]).conversion(clothes(), (28, 28)).steps
    assert [step.name for step in steps] == ["drawing", "filled", "placed", "28×28"]
    assert all(step.picture is not None and step.picture.dtype == np.uint8 for step in steps)
    assert Drawing.of([SQUARE]).conversion(clothes(), (28, 28, 3)).image.shape == (28, 28, 3)
    assert Drawing.of([SQUARE]).conversion(clothes(), (40, 30)).image.shape == (40, 30)


def test_where_training_images_are_whole_pictures_or_unknown_a_drawing_goes_in_whole() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (20, 16, 16, 3)).astype(np.float32)
    photographs = PenStyle.of(noise)
    assert photographs.foreground is None
    image = Drawing.of([SQUARE]).conversion(photographs, (16, 16, 3)).image
    assert (image[0, 0].tolist(), bool(image.min() < 80)) == ([255, 255, 255], True)
    unknown = image_of([SQUARE], PenStyle.unknown())
    assert (unknown[0, 0], unknown.max()) == (0, 255)


def test_a_dot_and_a_stroke_that_leaves_the_canvas_are_drawn() -> None:
    assert image_of([[[0.5, 0.5]]], digits()).max() > 100
    assert image_of([[[0, 0], [1, 1]]], digits()).max() > 100
    assert image_of([[[0, 0]]], clothes()).any()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "no strokes"),
        ([], "no strokes"),
        ("x", "no strokes"),
        ([[]], "Stroke 0"),
        ([SQUARE, [[0.1, 2.0]]], "Stroke 1"),
        ([[[0.1, float("nan")]]], "Stroke 0"),
        ([[[0.1]]], "Stroke 0"),
        ([[[0.1, 0.2], [0.1]]], "Stroke 0"),
        ([[["0.1", "0.2"]]], "Stroke 0"),
        ([{"points": 3}], "Stroke 0"),
        ([[[True, False]]], "Stroke 0"),
        ([SQUARE] * (MOST_STROKES + 1), "At most 1,000"),
        ([[[0.1, 0.1]] * 30_000] * 2, "At most 50,000"),
    ],
)
def test_what_is_no_drawing_is_refused_with_the_stroke(values: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Drawing.of(values)


def test_nothing_drawn_is_said() -> None:
    stroke = [[0.5, 0.5], [0.6, 0.6]]
    with pytest.raises(DataError, match="erased"):
        image_of([stroke, {"points": [[0.4, 0.4], [0.7, 0.7]], "erases": True}], digits())
