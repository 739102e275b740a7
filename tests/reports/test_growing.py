"""Curves of a training that grows: their axes only widen, and the values at their ends stand apart."""

from __future__ import annotations

from fittingroom.reports.drawing.growing import GrowingSeed, growing_figures


def seed(epochs: int, highest: float = 1.0) -> GrowingSeed:
    rows = {epoch: {"loss": 1 / epoch, "val_loss": 1.1 / epoch} for epoch in range(1, epochs + 1)}
    return GrowingSeed(rows, reach={"loss": (1 / max(1, epochs), highest)})


def test_axes_only_widen_while_a_training_grows() -> None:
    before = None
    for epochs in range(1, 60):
        frame = growing_figures([seed(epochs, highest=2.0)], 1000)["loss"].plot.frame
        assert frame.x.low == 0
        if before is not None:
            assert frame.x.high >= before.x.high
            assert frame.y.low <= before.y.low
            assert frame.y.high >= before.y.high
        before = frame
    assert before is not None
    assert before.x.high == 100
    assert growing_figures([seed(1)], 5)["loss"].plot.frame.x.high == 5  # all of a few, from the start


def test_the_running_epoch_continues_the_line_and_an_earlier_run_lies_behind() -> None:
    running = GrowingSeed({1: {"loss": 0.5}}, [(1.5, {"loss": 0.4})])
    one = growing_figures([running], 5, [seed(5)], "before")["loss"]
    assert any("mean rest" in kind for _, kind in one.plot.lines)
    assert ("rest-line", "before") in one.legend
    assert [name.text for name in one.plot.names] == ["0.400"]


def test_values_at_the_ends_of_equal_lines_stand_apart() -> None:
    flat = GrowingSeed({epoch: {"loss": 0.0, "val_loss": 0.0} for epoch in range(1, 6)}, reach={"loss": (0.0, 1.0)})
    places = sorted(name.y for name in growing_figures([flat], 5)["loss"].plot.names)
    assert places[1] - places[0] >= 14


def test_several_seeds_have_a_band_and_a_mean_as_far_as_all_have_got() -> None:
    figure = growing_figures([seed(3), seed(5)], 5)["loss"]
    assert len(figure.plot.areas) == 2
    assert ("band c-validation", "2 seeds and their band") in figure.legend


def test_a_training_without_numbers_has_no_figures() -> None:
    assert growing_figures([GrowingSeed({})], 5) == {}
    assert growing_figures([GrowingSeed({1: {"loss": float("nan")}})], 5) == {}
