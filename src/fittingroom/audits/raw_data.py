"""The check of the raw data: counts, images in which nothing shows, sizes, and what differs between the parts.

Pictures that cannot be read, values that are not finite and labels without a class are refused when data are loaded, so
that they never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    Evidence,
    EvidenceTable,
    Finding,
    Gallery,
    PartName,
    ShownImage,
    Verdict,
)
from fittingroom.audits.image_properties import WORDS, image_properties
from fittingroom.audits.raw_differences import PartComparison
from fittingroom.audits.raw_measures import Box, MeasuredPart, RawMeasures, picture_boxes, picture_sizes, some_of
from fittingroom.data.dataset import Dataset, Part
from fittingroom.text import amount, number, percent, word_list

NEARLY_BLANK = 0.02
"""Contrast, of the full range, below which hardly anything shows; Fashion-MNIST's faintest image has 0.065."""

CLIPPED = 0.5
"""The share of pure black or pure white from which an image is called clipped, where most images have next to none."""

_USUAL = 0.05  # median share of pure black or white from which it is the background of these images
_UNEVEN = 4  # times as many images in the largest class as in the smallest
_FEW = 10  # training images of a class
_ENLARGED = 2  # times
_SHEET = 40  # images
_MOST_OF_A_CLASS = 8
_MOST_CLASSES = 100  # in the table of counts; of more, the largest and the smallest
_SAID_HERE = ("The classes are uneven", "The validation part has no image", "The test part has no image")
_MOST_FINDINGS = 1000  # of a kind
_MOST_SHOWN = 16


@dataclass(frozen=True)
class _Problem:
    """Images that somebody should look at.

    Args:
        kind: key of the facts.
        one: what is said of one of them.
        several: what is said of several.
        found: for each part the positions, and what is said of each of them.
    """

    kind: str
    one: str
    several: str
    found: tuple[tuple[MeasuredPart, npt.NDArray[np.int64], tuple[str, ...]], ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(rows) for _, rows, _ in self.found)


def check_raw_data(subject: AuditSubject) -> CheckResult:
    """Counts, blank, faint and clipped images, sizes, and what differs between the parts."""
    data = subject.dataset
    parts = [_examined("train", data.train, data, subject)]
    if data.validation is not None and len(data.validation):
        parts.append(_examined("validation", data.validation, data, subject))
    subject.progress("comparing the parts")
    looked_for = tuple(_problems(parts))
    problems = [problem for problem in looked_for if problem.count]
    made = PartComparison.all_of(data, parts)
    differences = PartComparison.shown(made)
    classes = list(_class_sentences(data))
    found = [*map(_said, problems), *classes, *(one.sentence for one in differences)]
    verdict: Verdict = "found" if found else "clear"
    if not found:
        found = [_nothing(data, parts, made)]
    return CheckResult(
        check="raw-data",
        title="Raw data",
        verdict=verdict,
        sentences=(*found, *_remarks(data, parts)),
        advice=tuple(_advice(problems, classes, differences)),
        facts={
            "counts": data.describe()["counts"],
            "images": {problem.kind: problem.count for problem in looked_for},
            "comparisons": [one.to_dict() for one in made],
            "sizes": _size_facts(parts),
            "notes": list(data.notes),
        },
        evidence=tuple(_evidence(data, parts, problems)),
        findings=tuple(_findings(problems)),
    )


def _nothing(data: Dataset, parts: Sequence[MeasuredPart], made: Sequence[PartComparison]) -> str:
    """What was looked for and not found."""
    images = sum(len(one.part) for one in parts)
    alike = "and no difference between the parts was shown" if made else "and the parts were too small to compare"
    return (
        f"{amount(images, 'image')} of {amount(len(data.classes), 'class', 'classes')}: none is blank or clipped, the "
        f"classes are even, {alike}."
    )


def _examined(name: PartName, part: Part, data: Dataset, subject: AuditSubject) -> MeasuredPart:
    called = "training" if name == "train" else name

    def progress(what: str) -> Callable[[int, int], None]:
        return lambda done, total: subject.progress(f"{what} the {called} images", done, total)

    sizes, boxes, folder = np.empty((0, 3), np.int64), list[tuple[Box, ...]](), None
    if data.name.startswith("folder:") and part.files:
        folder = Path(data.name.partition(":")[2])
        sizes = picture_sizes(folder, part.files, progress("reading the sizes of"))
        if (data.arguments.get("aspect") or "pad") == "pad":
            boxes = list(picture_boxes(sizes, *data.image_shape[:2]))
    measures = RawMeasures.of(part, boxes, progress("looking at"))
    return MeasuredPart(name, part, measures, sizes, image_properties(some_of(part), folder, progress("measuring")))


def _problems(parts: Sequence[MeasuredPart]) -> Iterator[_Problem]:
    """All kinds of images to look at, also those of which there are none."""
    train = parts[0].measures

    def problem(kind: str, one: str, several: str, choose: Any, why: Any) -> _Problem:
        found = []
        for part in parts:
            rows = np.flatnonzero(choose(part.measures))
            found.append((part, rows, tuple(why(part.measures, row) for row in rows[:_MOST_FINDINGS].tolist())))
        return _Problem(kind, one, several, tuple(found))

    yield problem(
        "blank",
        "image has one colour throughout",
        "images have one colour throughout",
        lambda it: it.flat,
        lambda it, row: f"blank: one colour throughout (brightness {percent(it.brightness[row], 0)})",
    )
    yield problem(
        "nearly_blank",
        "image is nearly blank",
        "images are nearly blank",
        lambda it: (it.contrast < NEARLY_BLANK) & ~it.flat,
        lambda it, row: f"nearly blank: contrast {percent(it.contrast[row])} of the full range",
    )
    yield problem(
        "out_of_range",
        "image has values above white",
        "images have values above white",
        lambda it: it.highest > 1,
        lambda it, row: f"values up to {number(it.highest[row], 2)} of white",
    )
    for colour in ("black", "white"):
        usual = np.median(getattr(train, colour)) >= _USUAL  # then it is the background, and says nothing
        yield problem(
            f"clipped_{colour}",
            f"image is mostly pure {colour}, unlike the others",
            f"images are mostly pure {colour}, unlike the others",
            lambda it, colour=colour, usual=usual: (getattr(it, colour) >= CLIPPED) & ~it.flat & (not usual),
            lambda it, row, colour=colour: f"clipped: {percent(getattr(it, colour)[row], 0)} of it is pure {colour}",
        )
    if len(parts[0].sizes):
        yield _enlarged(parts)


def _enlarged(parts: Sequence[MeasuredPart]) -> _Problem:
    found = []
    for part in parts:
        height, width = part.part.images.shape[1:3]
        sizes = part.sizes[:, :2].astype(np.float64)
        known = (sizes > 0).all(axis=1)
        factor = np.min([height, width] / np.maximum(sizes, 1), axis=1)
        rows = np.flatnonzero(known & (factor > _ENLARGED))
        why = [
            f"enlarged: the picture has {part.sizes[row, 1]}x{part.sizes[row, 0]} pixels"
            for row in rows[:_MOST_FINDINGS].tolist()
        ]
        found.append((part, rows, tuple(why)))
    several = "pictures were enlarged more than twice, so that they are blurred"
    return _Problem("enlarged", "picture was enlarged more than twice, so that it is blurred", several, tuple(found))


def _said(problem: _Problem) -> str:
    where = [f"{len(rows):,} for {part.called}" for part, rows, _ in problem.found]
    verb = problem.one if problem.count == 1 else problem.several
    return f"{problem.count:,} {verb} ({word_list(where)})." if len(where) > 1 else f"{problem.count:,} {verb}."


def _class_sentences(data: Dataset) -> Iterator[str]:
    """What the counts of the classes say against them."""
    counts, names = data.train.counts(), data.classes
    most, least = max(counts), min(counts)
    if most >= _UNEVEN * max(least, 1):
        large, small = names[counts.index(most)], names[counts.index(least)]
        yield f"The classes are uneven: {most:,} training images of {large}, {least:,} of {small}."
    few = [name for name, count in zip(names, counts, strict=True) if count < _FEW]
    if few:
        they = "The class {} has" if len(few) == 1 else "The classes {} have"
        yield f"{they.format(word_list(few, most=5))} fewer than {_FEW} training images."
    others: tuple[tuple[str, Any], ...] = (("validation", data.validation), ("test", data.test))
    for part, held in others:
        if held is not None and len(held):
            empty = [name for name, count in zip(names, held.counts(), strict=True) if not count]
            if empty:
                yield f"The {part} part has no image of {word_list(empty, most=5)}."


def _size_facts(parts: Sequence[MeasuredPart]) -> dict[str, Any] | None:
    """Of all picture files together; None where images have no files."""
    sizes = np.concatenate([part.sizes for part in parts])
    sizes = sizes[(sizes[:, :2] > 0).all(axis=1)]
    if not len(sizes):
        return None
    names = ("height", "width", "bytes")
    return {
        name: {"least": int(low), "median": float(middle), "most": int(high)}
        for name, low, middle, high in zip(
            names, sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0), strict=True
        )
    }


def _remarks(data: Dataset, parts: Sequence[MeasuredPart]) -> tuple[str, ...]:
    """What is worth knowing and speaks against nothing."""
    said = []
    if (sizes := _size_facts(parts)) is not None:
        height, width = data.image_shape[:2]
        wide, tall = (
            " to ".join(dict.fromkeys((f"{side['least']:,}", f"{side['most']:,}")))
            for side in (sizes["width"], sizes["height"])
        )
        said.append(
            f"Every picture could be read. They are {wide} pixels wide and {tall} high; the model sees "
            f"{width}x{height}."
        )
    if data.validation is None or not len(data.validation):
        said.append("There is no validation part to compare the training images with.")
    return (*said, *(note for note in data.notes if not note.startswith(_SAID_HERE)))


def _advice(
    problems: Sequence[_Problem], classes: Sequence[str], differences: Sequence[PartComparison]
) -> Iterator[str]:
    """What to do, a sentence each."""
    kinds = {problem.kind for problem in problems}
    if kinds & {"blank", "nearly_blank", "clipped_black", "clipped_white"}:
        yield "Look at these images, and leave out those that show nothing: --export FILE.csv, then --exclude FILE.csv."
    if "out_of_range" in kinds:
        yield "Bring all images to one scale before training."
    if "enlarged" in kinds:
        yield "Use a smaller --image-size, or larger pictures: the model learns the blur."
    if any("uneven" in sentence or "fewer" in sentence for sentence in classes):
        yield (
            "Add images of the small classes, or weigh them: --set class_weight=balanced. Look at each class's own "
            "score, since accuracy hides them."
        )
    if any("part has no image" in sentence for sentence in classes):
        yield "Add images of every class to every part, or nothing is known of the missing ones."
    tests = {one.test for one in differences}
    if tests & {"class shares", *WORDS}:
        yield "Find out where the parts come from: a score on one says little of images like those of another."
    if tests & {"file format", "picture size", "file size"}:
        yield (
            "Make sure that the model cannot learn this instead of what is shown: save all pictures in one format and "
            "size, or find out why the classes differ."
        )


def _evidence(data: Dataset, parts: Sequence[MeasuredPart], problems: Sequence[_Problem]) -> Iterator[Evidence]:
    yield _counts(data)
    yield _sheet(data.train)
    for problem in problems:
        images = [
            ShownImage(_full(part.part, row), data.classes[part.part.labels[row]])
            for part, rows, _ in problem.found
            for row in rows[:_MOST_SHOWN].tolist()
        ]
        yield Gallery(problem.several.capitalize(), tuple(images[:_MOST_SHOWN]))
    measured = [
        (name, *(WORDS[name].written(float(np.median(part.properties[name]))) for part in parts))
        for name in parts[0].properties
        if all(name in part.properties for part in parts)
    ]
    header = ("property", *(part.called for part in parts))
    yield EvidenceTable("Properties of the images, in the median", header, tuple(measured))


def _counts(data: Dataset) -> EvidenceTable:
    """Images of each class in each part; of very many classes, those with the most and the fewest training images."""
    counts = data.describe()["counts"]
    names = [name for name in ("train", "validation", "test") if counts[name] is not None and counts[name]["total"]]
    chosen, title = list(range(len(data.classes))), "Images of each class"
    if len(chosen) > _MOST_CLASSES:
        of_class = data.train.counts()
        ranked = sorted(chosen, key=lambda place: -of_class[place])
        chosen = ranked[: _MOST_CLASSES // 2] + ranked[-_MOST_CLASSES // 2 :]
        title = f"Images of the {_MOST_CLASSES // 2} largest and the {_MOST_CLASSES // 2} smallest classes"
    rows = [(data.classes[place], *(f"{counts[name]['per_class'][place]:,}" for name in names)) for place in chosen]
    rows.append(("all", *(f"{counts[name]['total']:,}" for name in names)))
    return EvidenceTable(title, ("class", *("training" if name == "train" else name for name in names)), tuple(rows))


def _sheet(part: Part) -> Gallery:
    """Samples of each class as the model sees them, spread over the part."""
    each = min(max(_SHEET // len(part.classes), 1), _MOST_OF_A_CLASS)
    images = []
    for label, name in enumerate(part.classes):
        rows = np.flatnonzero(part.labels == label)
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).astype(int))]
        images += [ShownImage(_full(part, row), name) for row in chosen.tolist()]
    return Gallery("What the model sees, by class", tuple(images[:_SHEET]), each if each > 1 else 0)


def _full(part: Part, row: int) -> npt.NDArray[np.uint8]:
    """An image on the range of pictures, 0 to 255."""
    image = np.asarray(part.images[row])
    return image if part.scale == 255 else np.rint(image * (255 / part.scale)).clip(0, 255).astype(np.uint8)


def _findings(problems: Sequence[_Problem]) -> Iterator[Finding]:
    for problem in problems:
        for part, rows, why in problem.found:
            for row, reason in zip(rows.tolist(), why, strict=False):
                yield Finding(part.name, row, reason, part.part.classes[part.part.labels[row]])
