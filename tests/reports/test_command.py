from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from fittingroom.cli.main import build_parser
from fittingroom.cli.train import _chosen_recipe
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe
from fittingroom.reports.facts.explanation import _command
from fittingroom.reports.facts.subject import Subject
from tests.reports.builders import course_of, subject_of

LOAD = {"name": "fashion-mnist", "validation": None, "split_seed": 0, "data_dir": None, "image_size": None}


def subject_with(recipe: dict[str, Any], load: dict[str, Any] | None, seeds: tuple[int, ...] = (0,)) -> Subject:
    """A run of a recipe on some data."""
    subject = subject_of(course_of([1.0], images=8))
    training = subject.trainings[0]
    data = replace(training.record.data, load=load)
    record = replace(training.record, recipe=recipe, data=data)
    return replace(subject, trainings=(replace(training, record=record),), seeds=seeds)


@pytest.mark.parametrize(
    "recipe",
    [
        *(entry.recipe for entry in NAMED.values()),
        NAMED["wide"].recipe.changed(epochs=30),
        Recipe(name="my own", hidden=(), scale=False, learning_rate=3e-05, stop=("val_loss rises 3", "loss<0.4")),
        Recipe(convolutions=((32,), (64, 64, 64)), residual=True, augment=("flip", "shift 2"), weight_decay=0.01),
    ],
    ids=lambda recipe: recipe.name,
)
def test_the_command_line_makes_the_recipe_again(recipe: Recipe) -> None:
    command = _command(subject_with(recipe.to_dict(), LOAD))
    assert command is not None
    program, *arguments = shlex.split(command)
    assert program == "fittingroom"
    again = _chosen_recipe(build_parser(["train"]).parse_args(arguments))
    assert {**again.to_dict(), "name": ""} == {**recipe.to_dict(), "name": ""}


def test_seeds_and_data_are_in_the_command() -> None:
    course = NAMED["course"].recipe.to_dict()
    assert _command(subject_with(course, LOAD)) == "fittingroom train fashion-mnist"
    assert _command(subject_with(course, LOAD, (7,))) == "fittingroom train fashion-mnist --seed 7"
    assert _command(subject_with(course, LOAD, (0, 1, 2))) == "fittingroom train fashion-mnist --seeds 3"
    assert _command(subject_with(course, LOAD, (3, 9))) == "fittingroom train fashion-mnist --seeds 3,9"
    own = {**LOAD, "name": "folder:/my clothes", "validation": 0.1, "image_size": [28, 32], "data_dir": "/data"}
    assert _command(subject_with(course, own)) == (
        "fittingroom train 'folder:/my clothes' --validation 0.1 --data-dir /data --image-size 28x32"
    )
    own = {**LOAD, "name": "folder:/p", "image_size": [64, 64], "aspect": "crop", "color_mode": "rgb"}
    assert str(_command(subject_with(course, own))).endswith("--image-size 64x64 --aspect crop --color-mode rgb")


@pytest.mark.parametrize(
    ("recipe", "load"),
    [
        ({"name": "sequential", "epochs": 5, "batch_size": 32, "stop": []}, LOAD),
        (NAMED["course"].recipe.to_dict(), None),
        (NAMED["course"].recipe.to_dict(), {**LOAD, "split_seed": 3}),
        (NAMED["course"].recipe.to_dict(), {"validation": 10}),
    ],
    ids=["a model given to fit", "arrays", "another split", "damaged"],
)
def test_what_the_command_line_cannot_say_has_no_command(recipe: dict[str, Any], load: dict[str, Any] | None) -> None:
    assert _command(subject_with(recipe, load)) is None
