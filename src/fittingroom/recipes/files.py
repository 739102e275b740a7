"""Recipes as TOML files: one `key = value` per line, every key optional."""

from __future__ import annotations

from pathlib import Path

from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import check_setting
from fittingroom.recipes.toml import read_toml


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Without a `name`, the file's name is used.

    A relative path in `model` counts from the recipe's folder, so that the two files can lie side by side.

    Raises:
        RecipeError: the file is missing, is no TOML, or has a key or a value that makes no sense; with file and line.
    """
    file = read_toml(path, "recipe")
    settings = dict(file.content)
    for key, value in settings.items():
        with file.named(key):
            check_setting(key, value)
    if isinstance(settings.get("model"), str):
        model = parse_model_setting(settings["model"])
        settings["model"] = f"{path.parent / model.path}:{model.function}"
    return Recipe.from_dict({"name": path.stem, **settings})
