"""The curve of accuracy against photos is continued as a power law: checked by truth."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.evaluation.learning_curve import LearningCurve, sizes_up_to

SIZES = (1.0, 2.0, 4.0, 8.0)


def curve(a: float, b: float, photos: int = 4_000, sizes: tuple[float, ...] = SIZES) -> LearningCurve:
    """A curve whose share of wrong answers is `a * photos ** -b`, of photos that each show a scene."""
    wrong = [round(a * size**-b * photos) for size in sizes]
    right = np.stack([np.arange(photos) >= one for one in wrong]).astype(float)
    return LearningCurve(np.array(sizes), right, np.arange(photos))


def test_a_power_law_is_continued() -> None:
    forecast = curve(0.5, 0.4).forecast(18)
    assert forecast is not None
    assert forecast.accuracy == pytest.approx(1 - 0.5 * 18**-0.4, abs=0.003)
    assert forecast.gain == pytest.approx(0.5 * 8**-0.4 - 0.5 * 18**-0.4, abs=0.003)
    assert forecast.interval.low < forecast.accuracy < forecast.interval.high
    assert forecast.interval.high - forecast.interval.low < 0.05


def test_a_need_is_the_inverse_of_a_forecast() -> None:
    measured = curve(0.5, 0.4)
    forecast = measured.forecast(18)
    assert forecast is not None
    need = measured.need(forecast.accuracy)
    assert need is not None
    assert need.photos == pytest.approx(18, rel=1e-6)
    assert need.interval[0] < 18 < (need.interval[1] or np.inf)
    assert not need.reached


def test_what_is_reached_or_far_away_is_said() -> None:
    measured = curve(0.5, 0.1)
    reached, far = measured.need(0.4), measured.need(0.99)
    assert reached is not None
    assert reached.reached
    assert far is not None
    assert (far.photos, far.interval[1]) == (None, None)
    assert measured.forecast(81) is None  # more than ten times the photos that there are


def test_accuracy_that_does_not_grow_is_continued_level() -> None:
    measured = curve(0.3, -0.2)
    forecast = measured.forecast(18)
    assert forecast is not None
    assert forecast.gain == pytest.approx(0, abs=0.2)  # the mean of the points, where these fall
    assert forecast.accuracy >= measured.points[-1].accuracy


def test_two_points_are_too_few() -> None:
    assert curve(0.5, 0.4, sizes=(1.0, 2.0)).forecast(12) is None
    assert curve(0.5, 0.4, sizes=(1.0, 2.0)).need(0.9) is None


def test_no_error_and_no_success_have_intervals() -> None:
    all_right = LearningCurve(np.array([1.0, 2.0, 3.0]), np.ones((3, 10)), np.arange(10))
    assert [point.accuracy for point in all_right.points] == [1, 1, 1]
    assert all_right.points[0].interval.low == pytest.approx(0.7225, abs=1e-4)  # Wilson's of 10 of 10
    forecast = all_right.forecast(13)
    assert forecast is not None
    assert forecast.accuracy == 1  # never less than what is measured
    assert forecast.interval.low < 1


def test_photos_of_one_scene_count_once() -> None:
    right = np.tile(np.arange(5) % 2, (3, 4)).astype(float)
    apart = LearningCurve(np.array([1.0, 2.0, 3.0]), right, np.arange(20))
    together = LearningCurve(np.array([1.0, 2.0, 3.0]), right, np.arange(20) % 5)
    width = [one.points[0].interval.high - one.points[0].interval.low for one in (apart, together)]
    assert width[1] > 1.5 * width[0]


def test_sizes_stay_below_the_photos_that_there_are() -> None:
    assert sizes_up_to(1) == ()
    assert sizes_up_to(8) == (1, 2, 3, 5, 7)
    assert sizes_up_to(31)[-2:] == (20, 30)
