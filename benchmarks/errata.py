"""Errata of Fashion-MNIST: which of its labels are probably wrong, as a page, a list and pictures.

`python -m benchmarks.errata` opens the test set, which is one look and recorded as such: its labels are read, though no
score is computed. It trains on the labels of both parts together, each image judged by networks that have not seen it
(`fittingroom.audits.label_probabilities`), looks for copies with different labels, and writes `docs/errata/`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fittingroom as fr
from fittingroom.audits.copy_search import find_copies
from fittingroom.audits.label_probabilities import LabelSuspects, network_inputs
from fittingroom.data.dataset import Part
from fittingroom.data.listed_rows import image_name
from fittingroom.data.review_list import ReviewList, ReviewRow
from fittingroom.recipes.named import find_recipe
from fittingroom.text import percent

Array = np.ndarray[Any, Any]

_REASON = "Errata of Fashion-MNIST: which test labels are probably wrong. No score is computed, no model is chosen."
_FOLDER = Path("docs/errata")
_PAGE = Path(__file__).with_name("errata_page.txt")
_LISTED = 300  # images of all parts together
_COLUMNS = 7  # as wide as the text of the page
_PICTURE, _TILE_WIDTH, _TILE_HEIGHT = 56, 96, 98  # pixels; pictures are enlarged twice
_PAIRS = 12  # of classes in the table

_WORDS = {"train": "training", "test": "test"}
_SHORT = {"T-shirt/top": "T-shirt", "Ankle boot": "Boot"}


@dataclass(frozen=True, eq=False)
class Errata:
    """Suspects and copies among the images of several parts.

    Args:
        parts: by name, their images following one another.
        suspects: what was found about the labels.
        copies: copies with different labels, `(part, index)` of both.
    """

    parts: dict[str, Part]
    suspects: LabelSuspects
    copies: tuple[tuple[tuple[str, int], tuple[str, int]], ...]

    def place(self, row: int) -> tuple[str, int]:
        """Part and position in it."""
        for name, part in self.parts.items():
            if row < len(part):
                return name, row
            row -= len(part)
        raise IndexError(row)

    def listed(self, name: str) -> list[int]:
        """The suspects of a part that are among the first of all parts, the most suspicious first."""
        found = self.suspects.order[: min(_LISTED, int((self.suspects.probability > 0).sum()))]
        return [int(row) for row in found if self.place(int(row))[0] == name]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return next(iter(self.parts.values())).classes

    def labels(self, row: int) -> tuple[str, str]:
        """The given label and the suggested one."""
        return self.classes[self.suspects.labels[row]], self.classes[self.suspects.suggested[row]]

    def rows(self) -> Iterator[ReviewRow]:
        """The list, in the form that `fittingroom.load(relabel=...)` reads once it was reviewed."""
        for name, part in self.parts.items():
            for row in self.listed(name):
                index = self.place(row)[1]
                label, suggested = self.labels(row)
                yield ReviewRow(
                    part=name,
                    index=index,
                    image=image_name(None, "", part.images[index]),
                    label=label,
                    suggested=suggested,
                    probability=float(self.suspects.probability[row]),
                    check="labels",
                    why="label suspect",
                )
        for (name, index), (other, place) in self.copies:
            part = self.parts[name]
            yield ReviewRow(
                part=name,
                index=index,
                image=image_name(None, "", part.images[index]),
                label=part.classes[part.labels[index]],
                check="duplicates",
                why=f"near copy, labelled {self.parts[other].classes[self.parts[other].labels[place]]} there",
                other=f"{other} {place}",
            )


def find_errata(parts: dict[str, Part], progress: Any) -> Errata:
    """Examines the labels of several parts together."""
    inputs = network_inputs(list(parts.values()), find_recipe("course"), progress)
    labels = np.concatenate([part.labels for part in parts.values()])
    classes = next(iter(parts.values())).classes
    suspects = LabelSuspects.of(inputs, labels, len(classes), progress)
    scale = next(iter(parts.values())).scale
    found = find_copies({"test": parts["test"].images, "train": parts["train"].images}, scale, progress)
    places = [(found.place(row), found.place(other)) for row, other, _ in found.links()]
    differ = [(one, other) for one, other in places if parts[one[0]].labels[one[1]] != parts[other[0]].labels[other[1]]]
    return Errata(parts, suspects, tuple(differ))


def sheet(errata: Errata, rows: Sequence[int]) -> Any:
    """One picture of some images, each with its position, both labels and the probability beneath it."""
    from PIL import Image, ImageDraw, ImageFont

    lines = -(-len(rows) // _COLUMNS)
    found = Image.new("L", (_COLUMNS * _TILE_WIDTH, lines * _TILE_HEIGHT), 255)
    draw, font = ImageDraw.Draw(found), ImageFont.load_default(size=11)
    for number, row in enumerate(rows):
        left, top = number % _COLUMNS * _TILE_WIDTH, number // _COLUMNS * _TILE_HEIGHT
        name, index = errata.place(row)
        picture = Image.fromarray(np.asarray(errata.parts[name].images[index]))
        found.paste(picture.resize((_PICTURE, _PICTURE), Image.Resampling.NEAREST), (left + 20, top + 4))
        label, suggested = (_SHORT.get(text, text) for text in errata.labels(row))
        probability = errata.suspects.probability[row]
        for line, text in enumerate((f"{index}  {100 * probability:.0f}%", f"{label} > {suggested}")):
            draw.text((left + _TILE_WIDTH // 2, top + _PICTURE + 7 + 14 * line), text, 0, font=font, anchor="ma")
    return found.quantize(32)


def page(errata: Errata, minutes: float) -> str:
    """The page, in Markdown."""
    found = errata.suspects
    counts, pictures = [], []
    for name in errata.parts:
        rows, word = errata.listed(name), _WORDS[name]
        of_part = np.array([errata.place(row)[0] == name for row in range(len(found.labels))])
        in_list, in_all = (float(found.probability[chosen].sum()) for chosen in (rows, of_part))
        counts.append(f"| {word} | {of_part.sum():,} | {len(rows):,} | {in_list:,.1f} | {in_all:,.1f} |")
        if rows:
            pictures.append(
                f"## Suspects of the {word} part\n\nUnder each picture: its position in the {word} part, from 0, the "
                "probability that its label is wrong, the label, and the one that is suggested. The most suspicious "
                "come first.\n\n"
                f"[![Label suspects of the {word} part](fashion-mnist-{name}.png)](fashion-mnist-{name}.png)"
            )
    every = [row for name in errata.parts for row in errata.listed(name)]
    pairs: dict[tuple[str, str], list[float]] = {}
    for row in every:
        pairs.setdefault(errata.labels(row), []).append(float(found.probability[row]))
    ranked = sorted(pairs.items(), key=lambda item: (-sum(item[1]), item[0]))[:_PAIRS]
    table = [f"| {label} | {other} | {len(each):,} | {sum(each):,.1f} |" for (label, other), each in ranked]
    copies = [
        f"| {one[0]} {one[1]:,} | {errata.classes[errata.parts[one[0]].labels[one[1]]]} "
        f"| {other[0]} {other[1]:,} | {errata.classes[errata.parts[other[0]].labels[other[1]]]} |"
        for one, other in errata.copies
    ]
    return _PAGE.read_text(encoding="utf-8").format(
        counts="\n".join(counts),
        listed=len(every),
        share=percent(found.wrong.share, 2),
        planted=f"{found.wrong.planted:,}",
        recall=percent(found.wrong.found, 0),
        pairs="\n".join(table),
        copies=_COPIES.format(rows="\n".join(copies)) if copies else _NO_COPIES,
        pictures="\n\n".join(pictures),
        minutes=f"{minutes:.0f}",
        version=fr.__version__,
    )


_COPIES = """Near copies of one article with different labels; one of each pair is wrong, or both classes fit:

| image | label | near copy | label there |
|---|---|---|---|
{rows}"""

_NO_COPIES = "No two near copies (`fittingroom audit --only duplicates`) have different labels."


def main() -> None:
    """Writes the page, the list and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=_FOLDER, help="the folder (default: docs/errata)")
    out = parser.parse_args().out
    data = fr.load("fashion-mnist", validation=0)
    start = time.monotonic()
    last = [""]

    def progress(what: str, done: int = 0, total: int = 0) -> None:
        del done, total
        if what != last[0]:
            last[0] = what
            print(f"{time.monotonic() - start:.0f} s: {what}", file=sys.stderr, flush=True)

    errata = find_errata({"train": data.train, "test": data.test.open(_REASON)}, progress)
    write_errata(errata, out, time.process_time() / 60)


def write_errata(errata: Errata, out: Path, minutes: float) -> None:
    """Writes the page, the list and the pictures into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "fashion-mnist.csv").write_text(ReviewList.text(errata.rows()), encoding="utf-8", newline="")
    for name in errata.parts:
        if errata.listed(name):
            sheet(errata, errata.listed(name)).save(out / f"fashion-mnist-{name}.png", optimize=True)
    (out / "README.md").write_text(page(errata, minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
