from __future__ import annotations

from pathlib import Path

import pytest

from fittingroom.errors import RecipeError
from fittingroom.recipes.recipe import Recipe


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_empty_file_is_the_default_recipe_with_the_files_name(toml: Path) -> None:
    toml.write_text("")
    assert Recipe.read(toml).name == "mine"


def test_comments_and_windows_line_ends_are_read(toml: Path) -> None:
    toml.write_bytes(b"\xef\xbb\xbf# a comment\r\nepochs = 7 # another\r\nhidden = 512\r\n")
    recipe = Recipe.read(toml)
    assert (recipe.epochs, recipe.hidden) == (7, (512,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 5\n\nlr = 0.1", r"mine.toml, line 3: unknown key 'lr'.* Did you mean 'learning_rate'"),
        ('epochs = 5\nlearning_rate = "0.1x"', r"line 2: learning_rate = '0.1x': expected a number above 0"),
        ("# epochs = 1\nepochs = 0", r"line 2: epochs = 0: expected a whole number"),
        ("learning_rate = nan", r"line 1: learning_rate = nan"),
        ('"optimizer" = "addam"', r"line 1: unknown optimizer 'addam'. Did you mean 'adam'"),
        ("name = 'x'\n[train]\nepochs = 3", r"line 2: unknown key 'train'"),
        ("train.epochs = 3", r"line 1: unknown key 'train'"),
        ("stop = ['losss<0.4']", r"line 1: unknown metric in a stop condition 'losss'"),
        ("learning_rate = 0.1x", r"mine.toml is not valid TOML: .*line 1"),
        ("epochs = 5\nepochs = 6\n", r"mine.toml is not valid TOML: .*line 2"),
        ("hidden = []\ndropout = 0.5", r"no hidden layer"),
    ],
)
def test_mistake_is_shown_with_file_and_line(toml: Path, text: str, message: str) -> None:
    toml.write_text(text)
    with pytest.raises(RecipeError, match=message):
        Recipe.read(toml)


def test_missing_file_says_so(toml: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe .*mine.toml cannot be read: No such file"):
        Recipe.read(toml)


def test_file_that_is_no_text_says_so(toml: Path) -> None:
    toml.write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(RecipeError, match=r"not a text file in UTF-8: byte 0"):
        Recipe.read(toml)


def test_model_file_lies_beside_the_recipe(toml: Path) -> None:
    toml.write_text('model = "nets/own.py:build"')
    assert Recipe.read(toml).model == f"{toml.parent / 'nets/own.py'}:build"
