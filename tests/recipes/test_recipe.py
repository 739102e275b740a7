from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ACTIVATIONS, OPTIMIZERS, PRECISIONS, SCHEDULES

STOPS = ["loss<0.4", "accuracy>=0.6", "val_loss rises 3", "val_accuracy falls 2", "loss<=1e-07"]


@st.composite
def networks(draw: st.DrawFn, hidden: bool) -> dict[str, Any]:
    """The settings that a model of the user's own cannot have beside it."""
    stages = draw(st.lists(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=3), max_size=3))
    paired = bool(stages) and all(len(stage) % 2 and stage[0] == stage[-1] for stage in stages)
    schedule = draw(st.sampled_from(SCHEDULES))
    return {
        "convolutions": tuple(tuple(stage) for stage in stages),
        "residual": paired and draw(st.booleans()),
        "batch_norm": (hidden or bool(stages)) and draw(st.booleans()),
        "augment": tuple(draw(st.lists(st.sampled_from(["flip", "shift 2", "cutout 8"]), max_size=3))),
        "label_smoothing": draw(st.floats(0, 1, exclude_max=True)),
        "schedule": schedule,
        "warmup": draw(st.floats(0, 1, exclude_max=True)) if schedule == "cosine" else 0.0,
        "precision": draw(st.sampled_from(PRECISIONS)),
        "test_views": draw(st.sampled_from([(), ("flip",), ("shift 1",), ("shift 2", "flip")])),
    }


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    hidden = draw(st.lists(st.integers(1, 1_000_000), max_size=4))
    model = draw(st.sampled_from([None, "model.py:build", "my models/größe.py:make"]))
    own = {} if model else draw(networks(bool(hidden)))
    return Recipe(
        name=draw(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and bool(text.strip()))),
        hidden=tuple(hidden),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        dropout=draw(st.floats(0, 1, exclude_max=True)) if hidden else 0.0,
        scale=draw(st.booleans()),
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        learning_rate=draw(st.floats(1e-300, 1e9, exclude_min=True)),
        epochs=draw(st.integers(1, 2**31 - 1)),
        batch_size=draw(st.integers(1, 2**31 - 1)),
        stop=tuple(draw(st.lists(st.sampled_from(STOPS), max_size=3))),
        weight_decay=draw(st.none() | st.floats(0, 1, exclude_max=True)),
        model=model,
        **own,
    )


@given(recipe=recipes())
def test_toml_gives_the_same_recipe_back(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    read = Recipe.read(path)
    model = None if recipe.model is None else str(path.parent / recipe.model)
    assert read == dataclasses.replace(recipe, model=model)


@given(recipe=recipes())
def test_dict_gives_the_same_recipe_back(recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_default_recipe_is_the_courses_model() -> None:
    recipe = Recipe()
    assert (recipe.hidden, recipe.activation, recipe.optimizer) == ((128,), "relu", "adam")
    assert (recipe.epochs, recipe.batch_size, recipe.scale) == (5, 32, True)


def test_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().epochs = 3  # type: ignore[misc]


def test_list_and_number_become_what_a_recipe_keeps() -> None:
    recipe = Recipe(hidden=[512, 256], learning_rate=1)  # type: ignore[arg-type]
    assert recipe.hidden == (512, 256)
    assert isinstance(recipe.learning_rate, float)
    assert Recipe(hidden=512).hidden == (512,)  # type: ignore[arg-type]
    assert hash(recipe)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, r"epochs = 0: expected a whole number, 1 or more"),
        ({"epochs": True}, r"epochs = True: expected a whole number"),
        ({"epochs": 2.5}, r"epochs = 2.5: expected a whole number"),
        ({"batch_size": -32}, r"batch_size = -32: expected a whole number"),
        ({"learning_rate": float("nan")}, r"learning_rate = nan: expected a number above 0"),
        ({"learning_rate": float("inf")}, r"learning_rate = inf"),
        ({"learning_rate": -0.1}, r"learning_rate = -0.1: expected a number above 0"),
        (
            {"learning_rate": "0.1x"},
            r"learning_rate = '0.1x': expected a number above 0 and at most 1e9, for example 0.001",
        ),
        ({"dropout": 1.0}, r"dropout = 1.0: expected the share .* not including 1"),
        ({"dropout": -0.1}, r"dropout = -0.1"),
        ({"dropout": 0.2, "hidden": ()}, r"dropout = 0.2: expected 0, since there is no hidden layer"),
        ({"hidden": (128, 0)}, r"hidden = \[128, 0\]: expected the sizes of the hidden layers"),
        ({"hidden": "128"}, r"hidden = '128'"),
        ({"hidden": (10**7,)}, r"whole numbers from 1 to 1,000,000"),
        ({"scale": 255}, r"scale = 255: expected true"),
        (
            {"convolutions": 32},
            r"convolutions = 32: expected the features .* \[\[32\], \[64, 64\]\] .* or \[\] for none",
        ),
        ({"convolutions": [32]}, r"convolutions = \[32\]: expected the features"),
        ({"convolutions": [[]]}, r"convolutions = \[\[\]\]"),
        ({"convolutions": [[32, 0]]}, r"convolutions = \[\[32, 0\]\]"),
        ({"residual": True}, r"residual = True: expected stages of one convolution and then pairs .*, not \[\]"),
        ({"residual": True, "convolutions": [[8, 8]]}, r"residual = True: .*, not \[\[8, 8\]\]"),
        ({"residual": True, "convolutions": [[8, 8, 9]]}, r"that end with as many features, .*, not \[\[8, 8, 9\]\]"),
        ({"batch_norm": 1}, r"batch_norm = 1: expected true \(normalize .*\) or false"),
        ({"batch_norm": True, "hidden": ()}, r"batch_norm = True: expected false, since there is no layer for it"),
        ({"augment": "spin 3 times"}, r"unknown augmentation 'spin'"),
        ({"augment": [3]}, r"augment = \[3\]: expected a list of augmentations, for example \['flip', 'shift 2'\]"),
        ({"label_smoothing": 1}, r"label_smoothing = 1: expected the share of the label .* not including 1"),
        ({"warmup": 0.1}, r"warmup = 0.1: expected 0, since schedule = 'constant'. Set schedule = 'cosine'"),
        ({"warmup": 1.5, "schedule": "cosine"}, r"warmup = 1.5: expected the share of all steps"),
        ({"weight_decay": -1}, r"weight_decay = -1: expected the share of each weight"),
        ({"test_views": ["cutout 3"]}, r"test_views = \['cutout 3'\]: expected 'flip', 'shift N', both, or \[\]"),
        ({"test_views": ["shift 1", "shift 2"]}, r"test_views = \['shift 1', 'shift 2'\]: expected"),
        (
            {"model": "m.py:f", "augment": ["flip"]},
            r"augment = \('flip',\): expected \(\), since model = 'm.py:f' brings",
        ),
        ({"unfreeze": 2}, r"unfreeze = 2: expected 0, since there is no backbone. Set backbone = 'efficientnet-lite0'"),
        ({"views": 4}, r"views = 4: expected 0, since there is no backbone"),
        ({"backbone": "x", "unfreeze": -1}, r"unfreeze = -1: expected how many .* 0 for none, or 'all'"),
        ({"backbone": "x", "unfreeze": "some"}, r"unfreeze = 'some': expected how many"),
        ({"backbone": "x", "unfreeze": True}, r"unfreeze = True"),
        ({"backbone": "x", "views": 101}, r"views = 101: expected how many changed copies .* 0 to 100"),
        ({"backbone": " "}, r"backbone = ' ': expected a name of 1 to 500 printable characters"),
        ({"backbone": 3}, r"backbone = 3: expected a name"),
        (
            {"backbone": "x", "convolutions": [[8]]},
            r"convolutions = \[\[8\]\]: expected \[\], the only value that goes",
        ),
        ({"backbone": "x", "scale": False}, r"scale = False: expected True, the only value that goes with a backbone"),
        ({"backbone": "x", "precision": "mixed_bfloat16"}, r"precision = 'mixed_bfloat16': expected 'float32'"),
        ({"backbone": "x", "hidden": (), "dropout": 0.2}, r"dropout = 0.2: expected 0, since there is no hidden layer"),
        ({"backbone": "x", "test_views": ["shift 1"]}, r"test_views = \['shift 1'\]: expected \['flip'\] or \[\] with"),
        (
            {"backbone": "x", "augment": ["rotate 9"], "views": 1},
            r"expected only crop, flip and colour before a backbone",
        ),
        ({"backbone": "x", "augment": ["flip"]}, r"augment = \['flip'\]: expected \[\], since views = 0 keeps no"),
        ({"backbone": "x", "views": 2}, r"views = 2: expected 0, since augment = \[\] changes nothing"),
        (
            {"backbone": "x", "unfreeze": "all", "augment": ["flip"], "views": 2},
            r"views = 2: expected 0, since with unfreeze = 'all' images change in each step",
        ),
        ({"class_weight": {0: 2}}, r"class_weight = \{0: 2\}: expected one of balanced"),
        ({"augment": ["crop 96"]}, r"augmentation 'crop 96': expected a whole number from 1 to 95 .*'crop 30'"),
        ({"model": "m.py:f", "backbone": "x"}, r"backbone = 'x': expected None, since model = 'm.py:f' brings"),
        ({"name": " "}, r"name = ' ': expected a name"),
        ({"name": "a\nb"}, r"name = 'a\\nb': expected a name"),
        ({"loss": "categorical_crossentropy"}, r"expected 'sparse_categorical_crossentropy', .* whole numbers"),
        ({"stop": (3,)}, r"stop = \[3\]: expected a list of stop conditions"),
        ({"model": "model.py"}, r"model = 'model.py': expected FILE.py:FUNCTION"),
        ({"model": 7}, r"model = 7: expected FILE.py:FUNCTION"),
    ],
)
def test_value_that_makes_no_sense_is_refused_by_key(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"activation": "rellu"}, r"unknown activation 'rellu'. Did you mean 'relu'\? Known: elu, .*tanh"),
        ({"schedule": "cosin"}, r"unknown schedule 'cosin'. Did you mean 'cosine'\? Known: constant, cosine"),
        ({"precision": "float16"}, r"unknown precision 'float16'.* Known: float32, mixed_bfloat16"),
        ({"optimizer": "Adam"}, r"unknown optimizer 'Adam'. Did you mean 'adam'\? Known: .*sgd"),
        ({"stop": ["losss<0.4"]}, r"'losss'. Did you mean 'loss'\? Known: loss, accuracy, val_loss, val_accuracy"),
    ],
)
def test_unknown_name_lists_the_known_ones(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        Recipe(**setting)


@pytest.mark.parametrize(
    ("key", "nearest"), [("epoch", "epochs"), ("lr", "learning_rate"), ("units", "hidden"), ("drop_out", "dropout")]
)
def test_misspelt_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"unknown key '{key}' in a recipe. Did you mean '{nearest}'\? Known: name, "
    ):
        Recipe.from_dict({key: 1})


def test_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe(hidden=tuple([-1] * 1000))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("hidden=512,256", "hidden", (512, 256)),
        ("hidden = [64]", "hidden", (64,)),
        ("hidden=", "hidden", ()),
        ("hidden=none", "hidden", ()),
        ("dropout=0.2", "dropout", 0.2),
        ("scale=off", "scale", False),
        ("scale=True", "scale", True),
        ("learning_rate=1e-2", "learning_rate", 0.01),
        ("batch_size=64", "batch_size", 64),
        ("optimizer=sgd", "optimizer", "sgd"),
        ("stop=loss<0.4, val_loss rises 3", "stop", ("loss<0.4", "val_loss rises 3")),
        ("stop=accuracy>=0.6", "stop", ("accuracy>=0.6",)),
        ("model=m.py:build", "model", "m.py:build"),
        ("convolutions=32/64,64", "convolutions", ((32,), (64, 64))),
        ("convolutions = [[32], [64,64]]", "convolutions", ((32,), (64, 64))),
        ("convolutions=16,16", "convolutions", ((16, 16),)),
        ("convolutions=", "convolutions", ()),
        ("convolutions=[]", "convolutions", ()),
        ("batch_norm=on", "batch_norm", True),
        ("augment=flip, shift  2", "augment", ("flip", "shift 2")),
        ("augment=none", "augment", ()),
        ("label_smoothing=0.1", "label_smoothing", 0.1),
        ("schedule=cosine", "schedule", "cosine"),
        ("weight_decay=5e-4", "weight_decay", 0.0005),
        ("weight_decay=", "weight_decay", None),
        ("precision=mixed_bfloat16", "precision", "mixed_bfloat16"),
        ("test_views=flip,shift 1", "test_views", ("flip", "shift 1")),
    ],
)
def test_text_sets_a_key(text: str, key: str, value: object) -> None:
    assert getattr(Recipe().with_settings([text]), key) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("512", "setting '512': expected KEY=VALUE"),
        ("lr=0.1x", "unknown key 'lr'.*'learning_rate'"),
        ("learning_rate=0.1x", "learning_rate = '0.1x'"),
        ("epochs=five", "epochs = 'five'"),
        ("convolutions=32/a", r"convolutions = \[\[32\], \['a'\]\]"),
        ("hidden=12,a", r"hidden = \[12, 'a'\]"),
        ("scale=maybe", "scale = 'maybe'"),
        ("dropout=nan", "dropout = nan"),
    ],
)
def test_text_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe().with_settings([text])


def test_changed_recipe_no_longer_has_the_name_of_the_original() -> None:
    course = Recipe(name="course")
    assert course.with_settings(["epochs=5"]).name == "course"
    assert course.with_settings(["epochs=6"]).name == "course+"
    assert course.with_settings(["epochs=6", "model=mine.py:my_network"]).name == "my_network"
    assert course.with_settings(["epochs=6"]).with_settings(["hidden=64"]).name == "course+"
    assert course.with_settings(["epochs=6", "name=mine"]).name == "mine"


def test_later_setting_wins() -> None:
    assert Recipe().with_settings(["epochs=6", "epochs=7"]).epochs == 7


OTHER: dict[str, Any] = {
    "convolutions": ((8,),),
    "batch_norm": True,
    "augment": ("flip",),
    "label_smoothing": 0.1,
    "schedule": "cosine",
    "weight_decay": 0.01,
    "precision": "mixed_bfloat16",
    "test_views": ("flip",),
    "hidden": (64,),
    "activation": "tanh",
    "dropout": 0.1,
    "scale": False,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "epochs": 6,
    "batch_size": 64,
    "stop": ("loss<0.4",),
}


@pytest.mark.parametrize("key", OTHER)
def test_digest_changes_with_every_setting(key: str) -> None:
    assert Recipe(**{key: OTHER[key]}).digest() != Recipe().digest()


def test_settings_that_lean_on_others_count_in_the_digest() -> None:
    staged = Recipe(convolutions=((8, 8, 8),), schedule="cosine")
    assert len({staged.digest(), staged.changed(residual=True).digest(), staged.changed(warmup=0.1).digest()}) == 3


def test_digests_of_the_first_recipes_have_not_changed_since_settings_were_added() -> None:
    first = (Recipe(hidden=()), Recipe(), Recipe(hidden=(512,)))
    assert [recipe.digest() for recipe in first] == ["0d0b455a439a2746", "9e2d143ad9cf2f83", "b73a413d68678dda"]


def test_digest_does_not_depend_on_the_name() -> None:
    assert Recipe(name="a").digest() == Recipe(name="b").digest()


def test_digest_is_the_same_in_another_process() -> None:
    code = "from fittingroom.recipes.recipe import Recipe; print(Recipe().digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == Recipe().digest() == "9e2d143ad9cf2f83"  # stored runs and caches hold this one


def test_digest_follows_the_contents_of_the_model_file(tmp_path: Path) -> None:
    here, there = tmp_path / "a.py", tmp_path / "b.py"
    for path in (here, there):
        path.write_text("def build(): ...\n")
    first = Recipe(model=f"{here}:build").digest()
    assert Recipe(model=f"{there}:build").digest() == first
    there.write_text("def build(): return 1\n")
    assert Recipe(model=f"{there}:build").digest() != first
    assert Recipe(model=f"{here}:other").digest() != first


def test_digest_of_a_missing_model_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model file .*gone.py cannot be read: No such file"):
        Recipe(model=f"{tmp_path}/gone.py:build").digest()


@pytest.mark.parametrize("key", OTHER)
def test_only_epochs_stop_and_name_leave_the_program_as_it_is(key: str) -> None:
    same = Recipe(**{key: OTHER[key]}).program_fields() == Recipe().program_fields()
    assert same == (key in {"epochs", "stop"})


def test_a_backbone_of_ones_own_may_lie_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('backbone = "file:own.keras"\n', encoding="utf-8")
    assert Recipe.read(tmp_path / "mine.toml").backbone == f"file:{tmp_path / 'own.keras'}"
    (tmp_path / "table.toml").write_text('backbone = "efficientnet-lite0"\n', encoding="utf-8")
    assert Recipe.read(tmp_path / "table.toml").backbone == "efficientnet-lite0"
