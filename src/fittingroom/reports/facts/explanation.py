"""Every fact of a run as plain JSON, and `Explanation`: the facts with what they say in words.

The terminal, the page and the summary all read these facts, so they name the same numbers.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.errors import InputError
from fittingroom.evaluation.calibration import Calibration
from fittingroom.evaluation.change import Change
from fittingroom.evaluation.spread import Spread
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.reports.facts.seed_facts import example_facts, training_facts
from fittingroom.reports.facts.spread_facts import spread_facts
from fittingroom.reports.facts.subject import Subject
from fittingroom.reports.facts.unvalidated import UnvalidatedRun
from fittingroom.reports.words import change_words, course_words, state_words, unvalidated_words
from fittingroom.reports.words.quotes import QUESTIONS, Quote, Sentence, with_terms
from fittingroom.runs.json_files import plain
from fittingroom.runs.layout import read_layout
from fittingroom.runs.looks import Standings
from fittingroom.runs.place import find_run
from fittingroom.runs.record import PartResult

if TYPE_CHECKING:
    from fittingroom.runs.record import RunRecord


def run_facts(subject: Subject, tests: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """The facts `run`, `data` and `results` of a run.

    Args:
        subject: the run.
        tests: `test` among the facts of each seed.
    """
    return {"run": _run(subject), "data": _data(subject), "results": _results(subject, tests)}


def _run(subject: Subject | UnvalidatedRun) -> dict[str, Any]:
    """The run as a whole: name, recipe, seeds, times, machine, notes, and the command that repeats it."""
    record = subject.trainings[0].record
    notes = dict.fromkeys(note for training in subject.trainings for note in training.record.notes)
    return {
        "name": subject.path.name,
        "path": str(subject.path),
        "recipe": record.recipe["name"],
        "settings": dict(record.recipe),
        "has_epochs": record.has_epochs,
        "confidence_fitted": isinstance(subject, Subject) and subject.trainings[0].confidence_fitted,
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


def _command(subject: Subject | UnvalidatedRun) -> str | None:
    """A line for a shell that trains the same again; None for what the command line cannot say.

    That is a model that was given to `fittingroom.fit`, arrays of the user's own, and another split seed than 0.
    """
    record = subject.trainings[0].record
    if record.teaching is not None:
        return record.teach_command(subject.path)
    recipe, data = _recipe_arguments(record), _data_arguments(record)
    if recipe is None or data is None:
        return None
    return shlex.join(["fittingroom", "train", *data, *recipe, *_seeds(subject)])


def _recipe_arguments(record: RunRecord) -> list[str] | None:
    if not record.has_epochs:
        return _estimator_arguments(record)
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


def _estimator_arguments(record: RunRecord) -> list[str] | None:
    """The arguments for a classifier of scikit-learn: its name, or its text; None where they would train another."""
    try:
        recipe = Recipe.from_dict(record.recipe)
        known = find_recipe(recipe.name.rstrip("+")) if recipe.name.startswith("sklearn:") else None
    except InputError:
        known = None
    if known is not None and {**known.to_dict(), "name": ""} == {**recipe.to_dict(), "name": ""}:
        return ["--recipe", known.name]
    own, start = recipe.to_dict(), Recipe().to_dict()
    settings = [f"{key}={_text(own[key])}" for key in ("features", "scale", "class_weight") if own[key] != start[key]]
    return [
        *("--estimator", str(recipe.estimator)),
        *(("--set", *settings) if settings else ()),
        *(("--trust",) if record.model_file is not None else ()),
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
        "--aspect": load.get("aspect"),
        "--color-mode": load.get("color_mode"),
        **{f"--{name}": load[name]["file"] for name in ("exclude", "relabel") if name in load},
    }
    return [
        str(load["name"]),
        *(part for key, value in given.items() if value is not None for part in (key, str(value))),
    ]


def _seeds(subject: Subject | UnvalidatedRun) -> list[str]:
    seeds = subject.seeds
    if len(seeds) == 1:
        return ["--seed", str(seeds[0])] if seeds[0] else []
    first = seeds == tuple(range(len(seeds)))
    return ["--seeds", str(len(seeds)) if first else ",".join(map(str, seeds))]


FORMAT = 2  # 1 called `per_seed` `replicas`

_NO_PROBABILITIES = (
    "This run did not store the probabilities of all classes, so its confidence cannot be judged. New runs of up to "
    "100 classes store them."
)
_NO_GAP = (
    "There is no generalisation gap: the training loss is missing, or is not the cross-entropy that validation "
    "measures."
)
_WIDTH = 80  # characters of a line in a terminal


def _example(subject: Subject) -> dict[str, Any]:
    """Which seed is shown image by image; its calibration is at `per_seed[index]`."""
    example = subject.trainings[subject.example]
    only = len(subject.trainings) == 1
    return {
        "index": subject.example,
        "seed": example.record.seed,
        "why": "the only seed" if only else "its validation loss is the median over the seeds",
        "shown_epoch": example.shown_epoch,
        "kept": example.known,
    }


def _missing(subject: Subject) -> dict[str, str]:
    """What is null, and why."""
    missing = {}
    if not all(training.trajectories.has_all_classes for training in subject.trainings):
        missing["calibration"] = _NO_PROBABILITIES
    if any(training.training_loss is None for training in subject.trainings):
        missing["gaps"] = _NO_GAP
    return missing


def _words_of(facts: Mapping[str, Any]) -> list[Sentence]:
    """The sentences, topic after topic in the order of `QUESTIONS`, each term explained where it first appears.

    Args:
        facts: as `Explanation` has them, without `words`.
    """
    quote, order = Quote(facts), list(QUESTIONS)
    told = [one for module in (state_words, course_words, change_words) for one in module.sentences(quote)]
    return with_terms(sorted(told, key=lambda one: order.index(one.topic)))


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a run's validation images went through, as facts and in words. Printed, it is the words.

    Args:
        facts: plain JSON. Losses are in nats, accuracies and probabilities 0 to 1, accuracies' changes in percentage
            points where the name says so; epochs count from 1. What is not known is null; `missing` says why. `words`
            has each sentence with the facts it rests on. Of a run without outcomes of validation images there are only
            `run`, `data`, `results`, `per_seed`, `epochs` (means over seeds), `missing` and `words`.
    """

    facts: Mapping[str, Any]

    @classmethod
    def of(cls, subject: Subject, start: int | None = None, end: int | None = None) -> Explanation:
        """Every fact of a run of one or several seeds, with the sentences that rest on them.

        Args:
            subject: the run.
            start: with `end`, or instead of the last epoch, a change to tell besides the default ones: its first epoch.
            end: its last epoch.

        Raises:
            InputError: `start` or `end` was not validated.
        """
        example = subject.trainings[subject.example]
        trajectories = example.trajectories
        asked = {}
        if start is not None or end is not None:
            first, last = trajectories.best_loss_epoch, trajectories.last_epoch
            asked = {
                "asked": Change.between(trajectories, first if start is None else start, last if end is None else end)
            }
        changes = [Change.defaults(training.trajectories) for training in subject.trainings]
        calibrations = [Calibration.of_epochs(training.trajectories) for training in subject.trainings]
        standings = Standings()
        trainings = [
            training_facts(training, found, split, standings)
            for training, found, split in zip(subject.trainings, changes, calibrations, strict=True)
        ]
        facts = {
            "format": FORMAT,
            **run_facts(subject, [one["test"] for one in trainings]),
            "per_seed": trainings,
            "example": _example(subject),
            **spread_facts(subject.trainings, trainings, changes, calibrations),
            "changes": {name: one.to_dict() for name, one in {**changes[subject.example], **asked}.items()},
            **example_facts(example),
            "missing": _missing(subject),
        }
        # The words quote plain JSON, so that each number in them is one that a reader of the facts finds.
        told: dict[str, Any] = plain(facts)
        for name, found in told["ledgers"].items():
            for index, ledger in enumerate(found):
                ledger["words"] = change_words.of_change(Quote(told), f"ledgers.{name}.{index}").text
        return cls({**told, "words": [sentence.to_dict() for sentence in _words_of(told)]})

    @classmethod
    def of_unvalidated(cls, run: UnvalidatedRun) -> Explanation:
        """What can be said of a run that has no outcomes of validation images; `missing.validation` says why."""
        told: dict[str, Any] = plain({"format": FORMAT, **run.facts(_run(run))})
        sentences = with_terms(unvalidated_words.sentences(Quote(told)))
        return cls({**told, "words": [sentence.to_dict() for sentence in sentences]})

    def to_dict(self) -> dict[str, Any]:
        """All facts as plain JSON, the sentences among them."""
        return dict(self.facts)

    def topics(self) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Each question that is answered, and its sentences: `text`, `topic`, `facts` and `terms`."""
        for topic, sentences in groupby(self.facts["words"], key=lambda sentence: sentence["topic"]):
            yield QUESTIONS[topic], list(sentences)

    def __str__(self) -> str:
        return "\n\n".join("\n".join([question, *_lines(sentences)]) for question, sentences in self.topics())

    def __repr__(self) -> str:
        return f"Explanation({self.facts['run']['path']!r}: {len(self.facts['words'])} sentences)"

    def _repr_html_(self) -> str:
        from html import escape

        parts = []
        for question, sentences in self.topics():
            parts.append(f"<h4>{escape(question)}</h4>")
            for sentence in sentences:
                parts.append(f"<p>{escape(sentence['text'])}</p>")
                for term in sentence["terms"]:
                    name, meaning = escape(term["name"]), escape(term["meaning"])
                    parts.append(f"<p><small><strong>{name}</strong>: {meaning}</small></p>")
        return "\n".join(parts)


def _lines(sentences: list[Mapping[str, Any]]) -> Iterator[str]:
    for sentence in sentences:
        yield textwrap.fill(sentence["text"], _WIDTH)
        for term in sentence["terms"]:
            yield textwrap.fill(
                f"{term['name']}: {term['meaning']}", _WIDTH, initial_indent="  ", subsequent_indent="    "
            )


def explain(run: str | Path, start: int | None = None, end: int | None = None) -> Explanation:
    """What loss and accuracy really say about a run. Nothing is trained, and no test set is opened.

    Of a run that stored nothing of validation images it says what training alone shows, and what nobody can know.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`.
        start: first epoch of a change to tell, from 1; the one with the lowest validation loss if only `end` is given.
        end: last epoch of it; the last one if only `start` is given.

    Raises:
        UnknownNameError: there is no such run.
        InputError: it has no epoch with finite losses; `start` or `end` was not validated; or a file is missing or
            damaged.
    """
    path = find_run(run)
    if (unvalidated := UnvalidatedRun.of(path, read_layout(path))) is not None:
        unvalidated.refuse_change(start, end)
        return Explanation.of_unvalidated(unvalidated)
    return Explanation.of(Subject.read(path), start, end)
