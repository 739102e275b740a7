"""Measures how often a run is right about photographs: resized, cut out, with a second opinion; and which it refuses.

Usage: python -m benchmarks.photos DIR [--run RUN]... [--mapping FILE.toml] [--half report|choose|all]

DIR has a folder of photographs for each class. The mapping says which of the model's classes are right for each of
them (`[right]`), and which are counted apart (`[apart]`). Without `--run`, the recipes `course` and `photo` are trained
first.

What can be chosen was chosen on the training data and on the photographs whose SHA-256 of the file name is even
(`--half choose`). The others are what is reported, and all of another collection (`--half all`).
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import markdown_table
from fittingroom import Run, open_run, train
from fittingroom.answers.judgement import Answer
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.data.pictures import Picture
from fittingroom.errors import DataError
from fittingroom.evaluation.spread import Interval
from fittingroom.photos.conversion import Conversion, Style
from fittingroom.photos.photo_reader import _open_photo, _picture_files
from fittingroom.text import percent, percent_range

T = TypeVar("T")
Answers = Sequence[str | None]
"""A class for each photo; None where the model declines to name one."""


@dataclass(frozen=True)
class Mapped:
    """Which of the model's classes are right for each class of photographs, and which classes are counted apart."""

    right: Mapping[str, frozenset[str]]
    apart: frozenset[str]

    @property
    def known(self) -> list[str]:
        """The classes of photographs for which some answer is right."""
        return [name for name, classes in self.right.items() if classes]


@dataclass(frozen=True)
class Tally:
    """How many photos there are, how many were answered, and how many of these answers were right."""

    photos: int
    answered: int
    right: int


def read_mapping(path: Path) -> Mapped:
    """The mapping in a TOML file."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    right = {name: frozenset(classes) for name, classes in content["right"].items()}
    return Mapped(right, frozenset(content.get("apart", {})))


def is_reported(path: Path) -> bool:
    """Whether a photo belongs to the half that is reported; nothing was chosen on it."""
    return hashlib.sha256(path.name.encode()).digest()[-1] % 2 == 1


def photos_in(folder: Path, mapping: Mapped, half: str) -> list[Path]:
    """The photos of mapped classes, in order."""
    found = [path for path, _ in _picture_files([folder])]
    wanted = {"report": (True,), "choose": (False,), "all": (True, False)}[half]
    return [path for path in found if path.parent.name in mapping.right and is_reported(path) in wanted]


def tally(paths: Iterable[Path], answers: Answers, mapping: Mapped, classes: Iterable[str]) -> Tally:
    """The tally over the photos of some classes."""
    wanted = set(classes)
    pairs = [
        (path.parent.name, answer) for path, answer in zip(paths, answers, strict=True) if path.parent.name in wanted
    ]
    answered = [(name, answer) for name, answer in pairs if answer is not None]
    return Tally(len(pairs), len(answered), sum(answer in mapping.right[name] for name, answer in answered))


def naive(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The whole photo at the size of the model's images, whatever its proportions: what people try first."""
    image = Picture.open(path).image.convert("L" if len(shape) == 2 else "RGB")
    return np.asarray(image.resize((shape[1], shape[0])))


def converted(path: Path, style: Style) -> NDArray[np.uint8]:
    """The photo as the pipeline converts it."""
    return Conversion.of(_open_photo(path, style.image_shape).image, style).image


def read(run: Run, path: Path) -> ModelInputs:
    """The photo as `predict` reads it, with a second opinion where there is one."""
    return run.predictor.reader.read_file(path).without_pictures()


def answers_of(run: Run, images: NDArray[np.uint8], *, cut_out: bool) -> list[Answer]:
    """What a run says about images of 0 to 255, which were cut out of photos, or were not, without second opinions."""
    scaled = np.rint(images * (run.record.data.scale / 255)).astype(np.uint8)
    return run.answer(ModelInputs(scaled, np.full(len(scaled), cut_out)))


def labels(answers: Sequence[Answer], *, declining: bool) -> Answers:
    """The likeliest classes; with `declining`, None where the run says that the image is unlike its training data."""
    return [None if declining and answer.unlike else answer.label for answer in answers]


def timed(paths: Sequence[Path], make: Callable[[Path], T]) -> tuple[list[T], list[float]]:
    """What is made of all photos, and the milliseconds of processor time that each took."""
    make(paths[0])  # imports
    made, times = [], []
    for path in paths:
        start = time.process_time()
        made.append(make(path))
        times.append(1000 * (time.process_time() - start))
    return made, times


def groups_of(mapping: Mapped) -> dict[str, list[str]]:
    """What has a row of its own: the classes of photos under a title."""
    together = [name for name in mapping.known if name not in mapping.apart]
    groups: dict[str, list[str]] = {"all": together}
    for name in sorted(mapping.apart & set(mapping.known)):
        groups[f"with {name}"] = [*together, name]
    return groups | {name: [name] for name in mapping.known}


def rows_of(paths: Sequence[Path], sides: Sequence[Answers], mapping: Mapped) -> list[tuple[str, ...]]:
    """A row for each group of photos: how many, accuracy and interval of each side."""
    rows = []
    for title, classes in groups_of(mapping).items():
        tallies = [tally(paths, answers, mapping, classes) for answers in sides]
        if tallies[0].photos:
            rows.append((title, str(tallies[0].photos), *(cell for each in tallies for cell in _cells(each))))
    return rows


def refusal_rows(paths: Sequence[Path], answers: Answers, mapping: Mapped) -> list[tuple[str, ...]]:
    """A row for each group: photos, how many are refused, and accuracy among the others; those in no class too."""
    unknown = [name for name, right in mapping.right.items() if not right]
    groups = groups_of(mapping) | {"in no class": unknown} | {name: [name] for name in unknown}
    rows: list[tuple[str, ...]] = []
    for title, classes in groups.items():
        each = tally(paths, answers, mapping, classes)
        if each.photos:
            refused = each.photos - each.answered
            row: tuple[str, ...] = (
                title,
                str(each.photos),
                percent(refused / each.photos),
                percent_range(Interval.wilson(refused, each.photos)),
            )
            if each.answered and not set(classes) <= set(unknown):
                row += (percent(each.right / each.answered), percent_range(Interval.wilson(each.right, each.answered)))
            else:
                row += ("", "")
            rows.append(row)
    return rows


def _cells(each: Tally) -> list[str]:
    return [percent(each.right / each.photos), percent_range(Interval.wilson(each.right, each.photos))]


def report(run: Run, paths: Sequence[Path], mapping: Mapped) -> str:
    """The measurements of one run as text."""
    shape = run.record.data.picture_shape
    plain, plain_times = timed(paths, lambda path: naive(path, shape))
    inputs, times = timed(paths, lambda path: read(run, path))
    both, alone = ModelInputs.joined(inputs), ModelInputs.joined([replace(one, opinions=()) for one in inputs])
    answers = {"resized": answers_of(run, np.stack(plain), cut_out=False), "cut out": run.answer(alone)}
    if both.opinions:
        answers["second opinion too"] = run.answer(both)
    header = ("photos of", "number", *(cell for side in answers for cell in (side, "95%")))
    sides = [labels(each, declining=False) for each in answers.values()]
    lines = [
        f"{run.record.recipe['name']} ({run.path.name}): right answers",
        "",
        markdown_table([header, *rows_of(paths, sides, mapping)]),
    ]
    for side, said in list(answers.items())[1:]:
        refusals = ("photos of", "number", "refused", "95%", "right among the answered", "95%")
        lines += [
            f"Which are refused ({side}), and what is right of the others:",
            "",
            markdown_table([refusals, *refusal_rows(paths, labels(said, declining=True), mapping)]),
            *covering(paths, said, mapping),
            *calibrated(paths, said, mapping),
            "",
        ]
    plain_refused = sum(answer.unlike for answer in answers["resized"])
    return "\n".join(
        [
            *lines,
            f"Of the resized ones {percent(plain_refused / len(paths))} are refused "
            f"({percent_range(Interval.wilson(plain_refused, len(paths)))}).",
            f"Milliseconds of one core per photo, with decoding and opinions: {statistics.median(times):.0f} "
            f"(the slowest {max(times):.0f}); resized {statistics.median(plain_times):.0f}.",
        ]
    )


def calibrated(paths: Sequence[Path], answers: Sequence[Answer], mapping: Mapped) -> list[str]:
    """How sure the answers are, and how often they are right: of all photos of classes that exist."""
    together = groups_of(mapping)["all"]
    known = [
        (answer.probability, answer.label in mapping.right[path.parent.name], answer.unlike)
        for path, answer in zip(paths, answers, strict=True)
        if path.parent.name in together
    ]
    lines = []
    for which, some in (("", known), (" not refused", [one for one in known if not one[2]])):
        if some:
            sure, right = statistics.mean(one[0] for one in some), statistics.mean(one[1] for one in some)
            lines.append(f"Photos{which}: {percent(sure)} sure on average, and {percent(right)} right.")
    return lines


def covering(paths: Sequence[Path], answers: Sequence[Answer], mapping: Mapped) -> list[str]:
    """How often the sets hold a right class, of all photos of classes that exist, and of those that are not refused."""
    together = groups_of(mapping)["all"]
    pairs = [(path.parent.name, answer) for path, answer in zip(paths, answers, strict=True)]
    known = [(mapping.right[name], answer) for name, answer in pairs if name in together]
    lines = []
    for which, some in (("", known), (" not refused", [pair for pair in known if not pair[1].unlike])):
        held = sum(not right.isdisjoint(answer.set) for right, answer in some)
        if some:
            classes = statistics.mean(len(answer.set) for _, answer in some)
            lines.append(
                f"Sets of the {len(some)} photos{which} hold a right class for {percent(held / len(some))} "
                f"({percent_range(Interval.wilson(held, len(some)))}), with {classes:.2f} classes on average."
            )
    return lines


def trained() -> list[Run]:
    """Runs of the recipes that are measured when no run is named."""
    return [train("fashion-mnist", name) for name in ("course", "photo")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each run."""
    parser = argparse.ArgumentParser(prog="benchmarks.photos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--run", action="append", default=[], metavar="RUN", type=Path)
    parser.add_argument("--mapping", type=Path, default=Path(__file__).with_suffix(".toml"), metavar="FILE.toml")
    parser.add_argument("--half", choices=("report", "choose", "all"), default="report")
    given: Any = parser.parse_args(arguments)
    mapping = read_mapping(given.mapping)
    paths = photos_in(given.folder, mapping, given.half)
    if not paths:
        raise DataError(f"{given.folder} has no photos in folders named {', '.join(mapping.right)}.")
    runs = [open_run(path) for path in given.run] or trained()
    half = {"report": "the half that nothing was chosen on", "choose": "the half to choose on", "all": "all"}[
        given.half
    ]
    print(f"{len(paths)} photos in {given.folder.name}: {half}")
    for run in runs:
        print("", report(run, paths, mapping), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
