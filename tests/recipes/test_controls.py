"""What a page offers of a recipe is what recipes take, and the time that a training takes is near what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from fittingroom.errors import RecipeError
from fittingroom.recipes.controls import CONTROLS, as_text, closed_controls, differing, estimated_seconds, multiply_adds
from fittingroom.recipes.named import NAMED, read_claims
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Setting

RECIPES = {name: entry.recipe for name, entry in NAMED.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_setting_written_as_text_is_read_as_it_was(name: str) -> None:
    for control in CONTROLS:
        value = getattr(RECIPES[name], control.key)
        assert Setting.parse(f"{control.key}={as_text(value)}").value == value


def test_both_ends_of_every_range_are_taken_and_every_choice() -> None:
    for control in CONTROLS:
        for value in (control.low, control.high, *control.choices):
            if value is not None:
                number = int(value) if control.kind == "count" else value
                Setting(control.key, number)
        if control.kind == "count":
            with pytest.raises(RecipeError):
                Setting(control.key, 0)


def test_what_cannot_be_used_with_the_other_settings_is_closed_with_the_reason() -> None:
    assert set(closed_controls(RECIPES["course"])) == {"residual", "warmup", "unfreeze"}
    assert "no hidden layer" in closed_controls(Recipe(name="x", hidden=()))["dropout"]
    assert "warmup" not in closed_controls(RECIPES["cnn"])


def test_what_differs_from_a_recipe_is_told_as_text() -> None:
    course = RECIPES["course"]
    assert differing(course.changed(hidden=(256, 64), scale=False), course) == {"hidden": "256,64", "scale": "off"}
    assert differing(course, course) == {}


def test_multiply_adds_are_those_of_the_layers() -> None:
    assert multiply_adds(RECIPES["course"], (28, 28), 10) == 784 * 128 + 128 * 10
    one = Recipe(name="one", convolutions=((4,),), hidden=())
    assert multiply_adds(one, (8, 8, 3), 2) == 9 * 3 * 4 * 64 + 4 * 4 * 4 * 2


@pytest.mark.parametrize("name", ["course", "wide", "cnn"])
def test_the_estimate_is_near_the_measured_time_of_the_claims(name: str) -> None:
    claim = read_claims()[name]
    assert claim.hardware.endswith("2 cores")
    guess = estimated_seconds(RECIPES[name], 55_000, (28, 28), 10, cores=2)
    assert claim.seconds / 2 < guess < claim.seconds * 2


def test_twice_the_epochs_or_seeds_take_twice_as_long() -> None:
    course = RECIPES["course"]
    one = estimated_seconds(course, 1000, (28, 28), 10)
    assert estimated_seconds(course.changed(epochs=10), 1000, (28, 28), 10) == pytest.approx(2 * one)
    assert estimated_seconds(course, 1000, (28, 28), 10, seeds=2) == pytest.approx(2 * one)


def test_the_more_of_a_backbone_is_trained_the_longer_it_takes() -> None:
    transfer = RECIPES["transfer"]
    ways: tuple[dict[str, Any], ...] = ({}, {"unfreeze": 1}, {"unfreeze": 4}, {"unfreeze": "all", "views": 0})
    times = [estimated_seconds(transfer.changed(**way), 3000, (224, 224, 3), 10, cores=2) for way in ways]
    assert times == sorted(times)
    assert times[0] < 60
    assert times[-1] > 3600  # 60 epochs
