"""The page of a run, with everything that its facts say, its plots and its images; and of several runs side by side."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.errors import FittingRoomError, InputError
from fittingroom.reports.drawing import figures
from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.facts.explanation import Explanation
from fittingroom.reports.facts.subject import SeedTraining, Subject
from fittingroom.reports.pages.document import Report, settings_text
from fittingroom.reports.pages.explorer import Explorer, picture_row
from fittingroom.reports.pages.teaching_curve import teaching_curve
from fittingroom.reports.words.quotes import QUESTIONS, Topic
from fittingroom.runs.images import RunImages

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part

_EXAMPLES = 8
_MOST_STRIPS = 60  # classes whose pictures are shown: with 1,000 classes they would be most of the page
_MOST_LEDGERS = 120  # each is about 1 kB of the page, and a slider has no more places that a hand can hit


Facts = Mapping[str, Any]

_TOLD: tuple[Topic, ...] = ("overfit", "change", "stopping", "confidence", "classes")


def report_of(runs: Sequence[str | Path], comparison: Mapping[str, Any] | None = None) -> Report:
    """The page of a run, or of several side by side. Nothing is trained, and no test set is opened.

    Args:
        runs: one or more: folders, names of runs in the runs folder, or `latest`.
        comparison: of several runs, `Comparison.to_dict()`; its runs in the same order.

    Raises:
        UnknownNameError: there is no such run.
        InputError: there is none, or there are several without a comparison; a run has no validation images, or no
            epoch with finite losses; or a file is missing or damaged.
    """
    subjects = [Subject.read(run) for run in runs]
    if len(subjects) == 1:
        return _single(subjects[0])
    if not subjects or comparison is None:
        raise InputError(f"Expected one run, or several with their comparison; got {len(subjects)} runs without one.")
    facts = [Explanation.of(subject).to_dict() for subject in subjects]
    title = f"{len(facts)} runs on {facts[0]['data']['name']}"
    context = _side_by_side(facts, comparison)
    return Report.of(title, "compare.html", {"title": title, **context})


def _single(subject: Subject) -> Report:
    facts = Explanation.of(subject).to_dict()
    facts["ledgers"] = {name: _thinned(found, facts) for name, found in facts["ledgers"].items()}
    example = subject.trainings[subject.example]
    images, part, why_not = validation_images(example)
    found = Explorer.of(example, facts["images"], part, None if images is None else images.index)
    title = f"{facts['run']['recipe']} on {facts['data']['name']}"
    context = {
        "title": title,
        "facts": facts,
        "example": facts["per_seed"][facts["example"]["index"]],
        "topics": list(_topics(facts["words"])),
        **figures.run_figures(facts),
        **figures.slider_figures(facts),
        "ledger": _ledger(facts),
        "explorer": found.data,
        "no_pictures": why_not,
        "classes": list(_classes(facts, images)),
        "confusion": list(_confusion(facts)),
        "settings": settings_text(facts["run"]["settings"]),
        "teaching": _teaching(example.record.teaching),
    }
    pictures = "" if found.sheet is None else found.sheet.style
    return Report.of(f"{title}: {facts['run']['name']}", "run.html", context, _data(facts, found), pictures)


def _teaching(teaching: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How well a run was taught: `sentences`, and the `curve` as HTML; None for a run that was trained."""
    if teaching is None:
        return None
    from markupsafe import Markup

    return {"sentences": teaching["sentences"], "curve": Markup(teaching_curve(teaching))}


def _topics(words: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each question that the sentences answer: `name`, `question`, the answer in `short`, `sentences` and `terms`."""
    for name, found in groupby(words, key=lambda sentence: sentence["topic"]):
        sentences = list(found)
        yield {
            "name": name,
            "question": QUESTIONS[name],
            "short": sentences[0]["short"],
            "sentences": [sentence["text"] for sentence in sentences],
            "terms": [term for sentence in sentences for term in sentence["terms"]],
        }


def validation_images(training: SeedTraining) -> tuple[RunImages | None, Part | None, str | None]:
    """The images of the run's dataset, those it was validated on, and why they are missing; each None if there is none.

    Which of the validation images these are, `index` of the first says.
    """
    images, why_not = _images(training)
    part = None if images is None else _validated(images, training)
    if images is not None and part is None:
        why_not = "the validation images of the dataset are not those of this run"
    return images, part, why_not


def _images(training: SeedTraining) -> tuple[RunImages | None, str | None]:
    """The images of the run's dataset, or why they are missing.

    A folder of an older version keeps none; then they are loaded as `load_unasked` says.
    """
    data = training.record.data
    try:
        kept = RunImages.read(training.path, data.classes, data.scale)
        if kept is not None:
            return kept, None
        if data.load is None:
            return None, "the run was trained on plain arrays, which its folder does not store"
        return RunImages.of(data.load_unasked(training.path), every=True), None
    except (FittingRoomError, OSError) as error:
        return None, str(error).rstrip(".")


def _validated(images: RunImages, training: SeedTraining) -> Part | None:
    """The images that the training was validated on, if they are among these; with `images.index`, which ones."""
    labels, part = training.trajectories.labels, images.validation
    if part is None or not len(images.index) or images.index[-1] >= len(labels):
        return None
    return part if np.array_equal(part.labels, labels[images.index]) else None


def _thinned(ledgers: list[dict[str, Any]], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At most about `_MOST_LEDGERS` of them, spread evenly, with those of the best epochs, the first and the last."""
    training = facts["per_seed"][facts["example"]["index"]]
    step = -(-len(ledgers) // _MOST_LEDGERS)
    kept = {training["best_loss_epoch"], training["best_accuracy_epoch"], training["last_epoch"]}
    return [one for place, one in enumerate(ledgers) if place % step == 0 or one["epoch"] in kept]


def _ledger(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Where the slider stands at first: the best-loss epoch, or the first where the best is the last."""
    ledgers = facts["ledgers"]["to_last"]
    training = facts["per_seed"][facts["example"]["index"]]
    best = training["best_loss_epoch"]
    row = next(place for place, one in enumerate(ledgers) if one["epoch"] == best)
    start = 0 if best == training["last_epoch"] else row
    most = {
        name: max((abs(group["nats"]) for one in found for group in one["groups"]), default=0) or 1
        for name, found in facts["ledgers"].items()
    }
    return {"row": start, "one": ledgers[start], "most": most["to_last"], "rows": len(ledgers)}


def _confusion(facts: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows of the confusion matrix: for each cell its count and its shade, 0 to 9 by its share of the row."""
    for label, row in enumerate(facts["classes"]["confusion"]):
        total = sum(row) or 1
        # The square root, so that a few mistakes are seen beside many right answers.
        yield [
            {
                "count": count,
                "shade": min(round(9 * (count / total) ** 0.5), 9) if count else 0,
                "right": label == predicted,
                "label": label,
                "predicted": predicted,
            }
            for predicted, count in enumerate(row)
        ]


def _classes(facts: Mapping[str, Any], images: RunImages | None) -> Iterator[dict[str, Any]]:
    """Name, number of images of each part, and some training images of each class."""
    data = facts["data"]
    train = images.train_counts if images is not None else None
    test = images.test_counts if images is not None else None
    for label, name in enumerate(data["classes"]):
        pictures = None
        if images is not None and label < _MOST_STRIPS:
            first = np.flatnonzero(images.train.labels == label)[:_EXAMPLES]
            pictures = picture_row(images.train.images[first], images.train.scale) if len(first) else None
        yield {
            "name": name,
            "train": None if train is None else train[label],
            "validation": data["validation_per_class"][label],
            "test": None if test is None else test[label],
            "pictures": pictures,
            "shown": 0 if pictures is None else len(first),
        }


def _data(facts: Mapping[str, Any], found: Explorer) -> dict[str, Any]:
    """What the scripts of the page read."""
    return {
        "classes": facts["data"]["classes"],
        "hasEpochs": facts["run"]["has_epochs"],
        "ledgers": facts["ledgers"],
        "explorer": found.data,
    }


def _side_by_side(runs: Sequence[Facts], comparison: Facts) -> dict[str, Any]:
    """What the page shows of several runs.

    Args:
        runs: the facts of each run.
        comparison: `Comparison.to_dict()` of the same runs in the same order.
    """
    letters = [_letter(place) for place in range(len(runs))]
    pairs = [_pair(pair, comparison, letters) for pair in comparison["pairs"]]
    return {
        "dataset": comparison["dataset"],
        "images": comparison["images"],
        "notes": comparison["notes"],
        "pairs": pairs,
        "differences": {name: _differences(pairs, name) for name in ("accuracy", "loss")},
        "runs": [
            {
                "letter": letters[place],
                "facts": facts,
                "score": score,
                **figures.run_figures(facts, runs),
                "answers": _answers(facts),
            }
            for place, (facts, score) in enumerate(zip(runs, comparison["runs"], strict=True))
        ],
        "questions": [(topic, QUESTIONS[topic]) for topic in _TOLD],
    }


def _letter(place: int) -> str:
    """A, B, ..., Z, AA, BB, ..."""
    return string.ascii_uppercase[place % 26] * (place // 26 + 1)


def _pair(pair: Facts, comparison: Facts, letters: Sequence[str]) -> dict[str, Any]:
    names = [one["run"] for one in comparison["runs"]]
    first, second = (letters[names.index(pair[side])] for side in ("first", "second"))
    return {**pair, "letters": f"{first} − {second}"}


def _differences(pairs: Sequence[Facts], quantity: str) -> dict[str, Any] | None:
    """What each pair of runs differs by, drawn over one axis; None where no pair has the quantity."""
    factor = 100 if quantity == "accuracy" else 1
    known = {
        place: [factor * value for value in (pair[quantity]["difference"], *pair[quantity]["interval"])]
        for place, pair in enumerate(pairs)
        if pair[quantity] is not None
    }
    if not known:
        return None
    axis = Axis.linear([0.0, *(value for values in known.values() for value in values)])
    drawings = {place: Strip.of(axis, value, ends) for place, (value, *ends) in known.items()}
    return {"scale": Scale.of(axis, mark=0.0), "drawings": drawings}


def _answers(facts: Facts) -> dict[str, list[Facts]]:
    """The sentences of each topic."""
    return {topic: [word for word in facts["words"] if word["topic"] == topic] for topic in _TOLD}
