"""The command that trains a run once more."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fittingroom.errors import InputError
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe

if TYPE_CHECKING:
    from fittingroom.reports.subject import Subject
    from fittingroom.runs.record import RunRecord


def command_of(subject: Subject) -> str | None:
    """A line for a shell that trains the same again; None for what the command line cannot say.

    That is a model that was given to `fittingroom.fit`, arrays of the user's own, and another split seed than 0.
    """
    record = subject.replicas[0].record
    recipe, data = _recipe(record), _data(record)
    if recipe is None or data is None:
        return None
    return shlex.join(["fittingroom", "train", *data, *recipe, *_seeds(subject)])


def _recipe(record: RunRecord) -> list[str] | None:
    if "model" not in record.recipe:
        return None  # `fit` was given a model, and recorded what it knew of it
    try:
        recipe = Recipe.from_dict(record.recipe)
    except (InputError, TypeError):
        return None
    base = NAMED.get(recipe.name.rstrip("+"), NAMED["course"]).recipe
    start, own = base.to_dict(), recipe.to_dict()
    changed = [key for key in own if key not in {"name", "stop", "model"} and own[key] != start[key]]
    settings = [f"{key}={_text(own[key])}" for key in changed]
    stop = [*recipe.stop]
    try:
        again = base.with_settings(settings).changed(stop=[*base.stop, *stop], model=recipe.model)
    except InputError:
        return None
    if {**again.to_dict(), "name": ""} != {**own, "name": ""}:
        return None
    return [
        *(("--recipe", base.name) if base.name != "course" else ()),
        *(("--set", *settings) if settings else ()),
        *(("--stop", *stop) if stop else ()),
        *(("--model", recipe.model) if recipe.model is not None else ()),
    ]


def _text(value: Any) -> str:
    """A setting's value as `--set` reads it."""
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        return "/".join(_text(item) for item in value)
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def _data(record: RunRecord) -> list[str] | None:
    load = record.data.load
    if not isinstance(load, Mapping) or "name" not in load or load.get("split_seed", 0) != 0:
        return None
    size = load.get("image_size")
    given = {
        "--validation": load.get("validation"),
        "--data-dir": load.get("data_dir"),
        "--image-size": None if not isinstance(size, list) else "x".join(map(str, size)),
    }
    return [
        str(load["name"]),
        *(part for key, value in given.items() if value is not None for part in (key, str(value))),
    ]


def _seeds(subject: Subject) -> list[str]:
    seeds = subject.seeds
    if len(seeds) == 1:
        return ["--seed", str(seeds[0])] if seeds[0] else []
    first = seeds == tuple(range(len(seeds)))
    return ["--seeds", str(len(seeds)) if first else ",".join(map(str, seeds))]
