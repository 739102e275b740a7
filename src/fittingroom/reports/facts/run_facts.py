"""The facts of a run that need no outcomes: what was trained on what, by which command, and how it was tested."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.errors import InputError
from fittingroom.evaluation.spread import Spread
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.record import PartResult

if TYPE_CHECKING:
    from fittingroom.reports.facts.subject import Subject
    from fittingroom.runs.record import RunRecord


def run_facts(subject: Subject, tests: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """The facts `run`, `data` and `results` of a run.

    Args:
        subject: the run.
        tests: `test` among the facts of each seed.
    """
    return {"run": _run(subject), "data": _data(subject), "results": _results(subject, tests)}


def _run(subject: Subject) -> dict[str, Any]:
    """The run as a whole: name, recipe, seeds, times, machine, notes, and the command that repeats it."""
    record = subject.trainings[0].record
    notes = dict.fromkeys(note for training in subject.trainings for note in training.record.notes)
    return {
        "name": subject.path.name,
        "path": str(subject.path),
        "recipe": record.recipe["name"],
        "settings": dict(record.recipe),
        "seeds": list(subject.seeds),
        "recorded": len(subject.records),
        "unusable_seeds": list(subject.unusable),
        # Seeds that trained one after another ended at different times; the run is as old as its last.
        "created": max(training.record.created for training in subject.trainings),
        "seconds": {
            "setup": subject.seconds.setup,
            "compile": subject.seconds.compile,
            "train": subject.seconds.train,
        },
        "environment": {
            "versions": dict(record.environment.versions),
            "processor": record.environment.processor,
            "cores": record.environment.cores,
            "threads": record.environment.threads,
            "platform": record.environment.platform,
            "device": record.environment.device,
            "devices": record.environment.devices,
        },
        "notes": list(notes),
        "command": _command(subject),
    }


def _data(subject: Subject) -> dict[str, Any]:
    """The data: name, classes, number of images of each part, and of each class of the validation part."""
    record, labels = subject.trainings[0].record, subject.trainings[0].trajectories.labels
    data = record.data
    return {
        "name": data.name,
        "classes": list(data.classes),
        "image_shape": list(data.image_shape),
        "counts": dict(data.counts),
        "has_test_set": data.has_test_set,
        "validation_images": len(labels),
        "validation_per_class": np.bincount(labels, minlength=len(data.classes)).tolist(),
        "fingerprint": data.fingerprint,
        "test_fingerprint": data.test_fingerprint,
        "load": None if data.load is None else dict(data.load),
    }


def _results(subject: Subject, tests: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Loss and accuracy as spreads over all seeds: of the last epoch on `train`, of the kept weights else.

    A loss that is not finite for each of them is left out, as everywhere else.
    """
    known = [test["score"] for test in tests if test is not None]
    whole = len(known) == len(tests)
    validation = _spreads([record.validation for record in subject.records])
    if "accuracy" not in validation:  # of old runs of models that were compiled without it
        validation["accuracy"] = Spread.of(training.kept.accuracy for training in subject.trainings).to_dict()
    return {
        "train": _spreads([record.train for record in subject.records]),
        "validation": validation,
        "test": {name: Spread.of(score[name] for score in known).to_dict() for name in ("loss", "accuracy")}
        if whole
        else None,
    }


def _spreads(parts: list[PartResult | None]) -> dict[str, Any]:
    return {name: spread.to_dict() for name, spread in PartResult.spreads(parts).items()}


def _command(subject: Subject) -> str | None:
    """A line for a shell that trains the same again; None for what the command line cannot say.

    That is a model that was given to `fittingroom.fit`, arrays of the user's own, and another split seed than 0.
    """
    record = subject.trainings[0].record
    recipe, data = _recipe_arguments(record), _data_arguments(record)
    if recipe is None or data is None:
        return None
    return shlex.join(["fittingroom", "train", *data, *recipe, *_seeds(subject)])


def _recipe_arguments(record: RunRecord) -> list[str] | None:
    if "model" not in record.recipe:
        return None  # `fit` was given a model, and recorded what it knew of it
    try:
        recipe = Recipe.from_dict(record.recipe)
    except (InputError, TypeError):
        return None
    # A `+` marks settings that differ from the named recipe; the command then gives them with --set.
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


def _data_arguments(record: RunRecord) -> list[str] | None:
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
