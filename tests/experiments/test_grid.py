"""What varies, and the recipes that come of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fittingroom as fr
from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.experiments.plan import Cell, ExperimentPlan, parse_vary, setting_text, variants
from fittingroom.recipes.recipe import Recipe

COURSE = Recipe(name="course")


def test_commas_separate_values_and_brackets_hold_a_list_together() -> None:
    assert parse_vary("hidden=128,[512,256],[]") == ("hidden", ((128,), (512, 256), ()))
    assert parse_vary("convolutions=[],[[32],[64,64]]") == ("convolutions", ((), ((32,), (64, 64))))
    assert parse_vary("augment=[flip,shift 2],flip") == ("augment", (("flip", "shift 2"), ("flip",)))
    assert parse_vary("scale=on,off") == ("scale", (True, False))
    assert parse_vary("optimizer=adam, sgd") == ("optimizer", ("adam", "sgd"))


@given(st.lists(st.lists(st.integers(1, 2000), max_size=4).map(tuple), min_size=1, max_size=4))
def test_values_are_read_as_they_are_shown(values: list[tuple[int, ...]]) -> None:
    assert parse_vary(f"hidden={','.join(map(setting_text, values))}") == ("hidden", tuple(values))


@pytest.mark.parametrize("stages", [(), ((32,),), ((32,), (64, 64))])
def test_stages_of_convolutions_are_read_as_they_are_shown(stages: tuple[tuple[int, ...], ...]) -> None:
    assert parse_vary(f"convolutions={setting_text(stages)}") == ("convolutions", (stages,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hidden", r"--vary 'hidden': expected KEY=VALUE,VALUE,... with a list in brackets"),
        ("hidden=128,", r"a value is missing before, after or between commas"),
        ("hidden=[128", r"its brackets do not match"),
        ("hidden=128]", r"its brackets do not match"),
        ("hiden=1,2", r"unknown key 'hiden' in a recipe. Did you mean 'hidden'\?"),
        ("lr=0.1,0.2", r"Did you mean 'learning_rate'\?"),
        ("hidden=128,512/256", r"hidden = \['512/256'\]: expected the sizes of the hidden layers"),
    ],
)
def test_what_cannot_be_varied_is_refused_with_the_mend(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_vary(text)


def test_an_unknown_value_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'adam'"):
        parse_vary("optimizer=adm,sgd")


def test_every_combination_is_a_recipe_whose_name_says_what_was_varied() -> None:
    found = variants([COURSE], {"hidden": [16, [32, 8]], "batch_size": [32, 128]})
    assert [one.name for one in found] == [
        "course hidden=16 batch_size=32",
        "course hidden=16 batch_size=128",
        "course hidden=[32,8] batch_size=32",
        "course hidden=[32,8] batch_size=128",
    ]
    assert (found[3].recipe.hidden, found[3].recipe.batch_size) == ((32, 8), 128)


@pytest.mark.parametrize(
    ("bases", "vary", "message"),
    [
        ([COURSE], {"hidden": [16, (16,)]}, "'course hidden=16' and 'course hidden=16' are the same recipe"),
        ([COURSE, Recipe(name="other")], {}, "'course' and 'other' are the same recipe"),
        ([COURSE, Recipe(name="course", epochs=2)], {}, "have the same name"),
        ([COURSE], {"hidden": []}, r"vary: hidden = \[\]: expected a list of values"),
        ([COURSE], {"optimizer": "adam"}, "vary: optimizer = 'adam': expected a list of values"),
        ([COURSE], {"batch_size": range(1, 200), "epochs": range(1, 200)}, "has 39,601 recipes: expected"),
        ([], {}, "The experiment has 0 recipes: expected 1 to 10,000"),
    ],
)
def test_grids_that_make_no_sense_are_refused(bases: list[Recipe], vary: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        variants(bases, vary)


def test_a_cell_is_known_by_recipe_data_and_seed_and_by_nothing_else() -> None:
    (alone,) = variants([COURSE.changed(name="course", hidden=16)], {})
    (_, varied) = variants([COURSE], {"hidden": [8, 16]})
    data = ExperimentPlan.of(fr.load("digits"), (), ()).data
    assert Cell(alone, 3, data).id == Cell(varied, 3, data).id
    assert Cell(alone, 3, data).id != Cell(alone, 4, data).id
    assert data == ExperimentPlan.of(fr.load("digits"), (), ()).data
    assert data != ExperimentPlan.of(fr.load("digits", validation=100), (), ()).data
    assert data != ExperimentPlan.of(fr.load("digits", split_seed=1), (), ()).data
