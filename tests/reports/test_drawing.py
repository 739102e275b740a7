"""Axes of the small drawings: every value has its place, and the ticks are round."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.drawing.figures import _shares_plot
from fittingroom.reports.drawing.plots import HEIGHT, Line, Plot, cut
from fittingroom.reports.drawing.scatter import Dot, cost

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)
factors = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20)


@given(numbers)
def test_all_values_lie_within_in_their_order_and_ticks_are_few(values: list[float]) -> None:
    _holds(Axis.linear(values), values)


@given(factors)
def test_factors_lie_within_in_their_order_and_ticks_are_few(values: list[float]) -> None:
    _holds(Axis.logarithmic(values), values)


def _holds(axis: Axis, values: list[float]) -> None:
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 < place < 100 for place in places)
    assert all(axis.holds(value) for value in values)
    assert len(axis.ticks) <= 6
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(axis.holds(tick) for tick in axis.ticks)


def test_ticks_are_round() -> None:
    assert Axis.linear([71.2, 94.8]).ticks == (75.0, 80.0, 85.0, 90.0, 95.0)
    assert Axis.linear([-0.3, 0.9]).ticks == (-0.25, 0.0, 0.25, 0.5, 0.75)


def test_equal_factors_are_equal_distances_and_one_is_among_the_ticks() -> None:
    axis = Axis.logarithmic([0.1, 1, 10])
    assert axis.at(1) - axis.at(0.1) == pytest.approx(axis.at(10) - axis.at(1), abs=0.02)
    assert 1.0 in axis.ticks


def test_percentages_end_at_their_limits() -> None:
    axis = Axis.linear([99.0, 100.0], (0, 100))
    assert axis.high == 100
    assert axis.at(104.0) == axis.at(100.0)


def test_differences_have_signs_and_the_mark_of_no_difference() -> None:
    scale = Scale.of(Axis.linear([-2.0, 2.0]), mark=0.0)
    assert [text for _, text in scale.ticks] == ["\u22122", "\u22121", "0", "+1", "+2"]
    assert scale.mark == 50
    assert Scale.of(Axis.linear([3.0, 4.0]), mark=0.0).mark is None


def test_a_band_of_a_ratio_reaches_from_its_inverse() -> None:
    axis = Axis.logarithmic([0.5, 2.0])
    assert Strip.of(axis, 1.0, None, band=1.5).band == (axis.at(1 / 1.5), axis.at(1.5))
    wide = Axis.linear([-1.0, 1.0])
    assert Strip.of(wide, 0.5, None, band=0.5).band == (wide.at(-0.5), wide.at(0.5))


def test_ticks_have_commas_signs_and_the_same_decimals() -> None:
    assert Axis.linear([0.0, 30000.0]).tick_texts() == ["0", "10,000", "20,000", "30,000"]
    assert Axis.linear([-0.6, 1.2]).tick_texts(signed=True) == ["\u22120.5", "0.0", "+0.5", "+1.0"]
    assert Axis.logarithmic([0.02, 300.0]).tick_texts() == ["0.1", "1", "10", "100"]


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        (1, 5, (1, 2, 3, 4, 5)),
        (1, 12, (2, 4, 6, 8, 10, 12)),
        (1, 30, (1, 5, 10, 15, 20, 25, 30)),
        (1, 100, (1, 20, 40, 60, 80, 100)),
        (3, 3, (3,)),
    ],
)
def test_epochs_have_round_ticks(first: int, last: int, ticks: tuple[int, ...]) -> None:
    assert Axis.of_epochs(range(first, last + 1)).ticks == ticks


@given(st.integers(0, 50), st.integers(1, 5000))
def test_any_number_of_epochs_has_few_ticks_in_order(first: int, more: int) -> None:
    axis = Axis.of_epochs([first, first + more])
    assert 2 <= len(axis.ticks) <= 8
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(axis.holds(tick) for tick in axis.ticks)


def test_plots_side_by_side_have_the_same_axes() -> None:
    short, long = (Line("a", "s0", [(epoch, 1 / epoch) for epoch in range(1, last + 1)]) for last in (3, 20))
    one, other = (Plot.of_lines([line], framed=[short, long]) for line in (short, long))
    assert (one.frame, one.x_ticks, one.y_ticks) == (other.frame, other.x_ticks, other.y_ticks)


def test_no_name_lies_on_a_point_or_an_interval() -> None:
    crowd = [(1 + seed / 40, 90.0) for seed in range(-8, 9)]
    plot = cost([Dot("recipe", "s0", 1.0, 90.0, (80.0, 95.0), seeds=crowd), Dot("far", "s1", 3.0, 60.0)], "seconds")
    (name,) = (one for one in plot.names if one.text == "recipe")
    assert abs(name.y - plot.frame.at_y(90.0)) >= 10


def test_a_whisker_is_drawn_to_its_ends() -> None:
    plot = _shares_plot("x", "y", areas=[], lines=[], rules=[(50.0, 0.0, 100.0, "")], dots=[])
    assert plot.rules[0][1:3] == (plot.frame.top, plot.frame.bottom)


def test_the_mean_of_an_epoch_is_over_the_seeds_that_reached_it() -> None:
    line = Line.of("a", "s0", [[(1, 1.0), (2, 4.0)], [(1, 3.0), (2, float("nan"))]])
    assert line is not None
    assert list(line.mean) == [(1, 2.0), (2, 4.0)]
    assert Line.of("a", "s0", [[(1, float("nan"))], []]) is None


def test_names_beside_lines_do_not_lie_on_each_other() -> None:
    plot = Plot.of_lines([Line(f"n{place}", f"s{place}", [(1, 0.5), (2, 0.3 + place / 1e4)]) for place in range(6)])
    ys = sorted(name.y for name in plot.beside)
    assert len(ys) == 6
    assert min(after - before for before, after in pairwise(ys)) >= 14
    assert 0 < ys[0] <= ys[-1] < HEIGHT


def test_a_loss_that_explodes_gets_an_axis_of_factors() -> None:
    assert Plot.of_lines([Line("a", "s0", [(1, 1.0), (2, 0.5), (3, 900.0)])]).log
    assert not Plot.of_lines([Line("a", "s0", [(1, 2.3), (2, 0.5), (3, 0.4)])]).log


def test_a_single_epoch_is_drawn_as_a_dot() -> None:
    plot = Plot.of_lines([Line("a", "s0", [(1, 90.0)])], "%")
    assert [kind for *_, kind in plot.dots] == ["alone mean s0"]


def test_names_in_a_crowd_are_left_out_and_the_first_has_its_own() -> None:
    plot = cost([Dot(f"recipe {place}", "", 1 + place / 1e3, 90.0) for place in range(20)], "seconds")
    assert plot.names[0].text == "recipe 0"
    assert len(plot.names) < 20


def test_long_names_are_cut() -> None:
    assert len(cut("long" * 100)) == 22
