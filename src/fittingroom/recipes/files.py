"""Recipes as TOML files: one `key = value` per line, every key optional."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fittingroom.data.streams import read_file
from fittingroom.errors import InputError, RecipeError
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import check_setting

_LARGEST = 32 * 2**10  # bytes; with all its settings a recipe has about one thousand


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Without a `name`, the file's name is used.

    A relative path in `model` counts from the recipe's folder, so that the two files can lie side by side.

    Raises:
        RecipeError: the file is missing, is no TOML, or has a key or a value that makes no sense; with file and line.
    """
    text, settings = read_toml(path, "recipe")
    for key, value in settings.items():
        try:
            check_setting(key, value)
        except InputError as error:
            raise RecipeError(f"{path}, line {_line_of(key, text)}: {error}") from error
    if isinstance(settings.get("model"), str):
        model = parse_model_setting(settings["model"])
        settings["model"] = f"{path.parent / model.path}:{model.function}"
    return Recipe.from_dict({"name": path.stem, **settings})


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """The text of a small TOML file, and what it says.

    Args:
        path: the file.
        what: what it holds, for the message of an error.

    Raises:
        RecipeError: the file is missing, too large, or no TOML.
    """
    text = _read_text(path, what)
    return text, _parse(path, text)


def _read_text(path: Path, what: str) -> str:
    try:
        return read_file(path, _LARGEST).decode("utf-8-sig")  # editors on Windows write a byte order mark
    except OSError as error:
        raise RecipeError(f"the {what} {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not a text file in UTF-8: byte {error.start} does not belong there.") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (RecursionError, ValueError) as error:  # too deep, or a number of thousands of digits
        raise RecipeError(f"{path} is not valid TOML: {error}. A line looks like `learning_rate = 0.001`.") from error


def _line_of(key: str, text: str) -> int:
    """The number of the line that sets a key, counted from 1."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return number
    return 1
