"""Writes `docs/explanation/other-datasets.md` and its picture from the stored result of the standing benchmark.

Usage: python -m benchmarks.conclusions_docs [benchmark.json]

`make benchmark` does so after the benchmark itself. Nothing is trained.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.pairs import markdown_table
from benchmarks.sides import ROOT
from fittingroom.text import amount, interval_of_change, number, percent, percent_range, points

Facts = Mapping[str, Any]

RESULT = ROOT / "build" / "benchmark" / "result" / "benchmark.json"
TEXT = ROOT / "docs" / "explanation" / "other-datasets.md"
PICTURE = ROOT / "docs" / "images" / "other-datasets.svg"

_CELL, _ROW, _LEFT, _TOP = 58, 30, 250, 130  # pixels of the picture's columns, rows, names on the left and at the top
_COLORS = {"best": "#2a9d6f", "holds": "#a9d8c3", "behind": "#f2b591", "far": "#d8572a", "same family": "#e4e4e4"}
_FAR = 0.05  # a choice that is this much behind has the darkest colour
_WORDS = "#1d1d1f"


def write(facts: Facts) -> None:
    """Writes the chapter and its picture.

    Args:
        facts: `Benchmark.to_dict()`.
    """
    PICTURE.write_text(picture(facts["statistics"]), encoding="utf-8")
    TEXT.write_text(text(facts), encoding="utf-8")
    print(TEXT.relative_to(ROOT), PICTURE.relative_to(ROOT))


def text(facts: Facts) -> str:
    """The chapter as Markdown."""
    return "\n".join(_lines(facts)) + "\n"


def picture(statistics: Facts) -> str:
    """For every two datasets, how far the best method of one is behind on the other, as SVG."""
    return "\n".join(_drawn(statistics)) + "\n"


def _lines(facts: Facts) -> Iterator[str]:
    said = facts["statistics"]
    found, names = said["conclusions"], _datasets(said)
    yield from ("# Does it hold on others?", "")
    yield (
        "*If it doesn't work on MNIST, it won't work at all; if it does work on MNIST, it may still fail on others.* "
        "The second half is a claim about other data. [The standing benchmark](../benchmark.md) lets it be tested: "
        "choose a method on one dataset, and ask on another what the choice is worth."
    )
    yield from ("", "## A choice", "")
    yield (
        f"On each of {amount(len(names), 'dataset')}, one of {amount(len(facts['methods']), 'method')} has the highest "
        f"accuracy on {facts['part']} images, mean over {amount(len(facts['seeds']), 'seed')}. The picture follows it "
        "to the other datasets. A choice **holds** where no method is shown to be better than it is."
    )
    alt = "For every two datasets, how many points the best method of one is behind the best of the other"
    yield from ("", f"![{alt}](../images/{PICTURE.name})", "")
    if found["holds"] is not None:
        yield from (
            f"- A choice holds on a dataset of another family in {_share(found['holds'])} of pairs of families.",
            f"- It has the highest accuracy there again in {_share(found['first'])}.",
            "",
            f"In brackets is the 95% interval for pairs of new families of this kind. {found['families']} families are "
            "few: the pairs share them, so the interval counts half as many cases as there are families.",
            "",
        )
    else:
        yield from (said["why_not_next"], "")
    yield from _reversal(said)
    yield from _pairs_of_methods(found)
    yield from _between(found, "digits", "fashion-mnist")
    yield from ("## Every choice", "", "<details><summary>From each dataset to each of another family</summary>", "")
    yield from (markdown_table(_table(found)), "</details>", "")
    yield from (
        "## How it is computed",
        "",
        "Each two methods are compared on each dataset as [`compare`](intervals.md) does it, over images and seeds, "
        "corrected for the number of pairs. Datasets made from one source are one family: a choice is not asked about "
        "within a family, and a family's datasets share its weight. The best method of a dataset is also its luckiest, "
        "so a distance in points is more likely too large than too small; its interval allows for that, since it "
        "holds for all pairs at once. Where images or seeds are few, little is shown to be better, and more choices "
        "hold. `fr.benchmark(...)` gives the same for your own datasets and methods; below six families it says "
        "nothing of new ones.",
        "",
        "Simulations with known truth: [measurements](../measurements.md).",
    )


def _share(one: Facts) -> str:
    return f"**{percent(one['share'], 0)}** ({percent_range(one['interval'], 0)})"


def _reversal(said: Facts) -> Iterator[str]:
    reversals = said["reversals"]
    yield from ("## It wins here and loses there", "")
    if not reversals:
        yield from ("No two methods are shown to change places on these datasets.", "")
        return
    yield _escaped(reversals[0]["sentence"]) + " Both differences are shown, corrected for every pair on every dataset."
    if len(reversals) > 1:
        yield f"So do {amount(len(reversals) - 1, 'other pair')} of methods on two datasets of their own."
    yield ""


def _pairs_of_methods(found: Facts) -> Iterator[str]:
    if found["orders"] is None:
        return
    orders = {name: _share(share) for name, share in found["orders"].items()}
    yield from ("## An order of two methods", "")
    yield (
        f"Where two methods are shown to differ on one dataset, on a dataset of another family the same order is shown "
        f"in {orders['same']} of cases, no difference in {orders['not shown']}, and the opposite order in "
        f"{orders['opposite']}."
    )
    yield ""


def _between(found: Facts, one: str, other: str) -> Iterator[str]:
    # A dataset with fewer training images is named so: "fashion-mnist, 10,000".
    both = [each for each in found["choices"] if {_name(each["source"]), _name(each["target"])} == {one, other}]
    if not both:
        return
    yield from (f"## From {one} to {other}, and back", "")
    yield from (f"- {_escaped(each['sentence'])}" for each in both)
    yield ""


def _name(label: str) -> str:
    return label.partition(",")[0]


def _table(found: Facts) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("chosen on", "the choice", "asked on", "the best there", "points behind", "holds")]
    for one in found["choices"]:
        behind = "0"
        if one["interval"] is not None:
            ends = interval_of_change([100 * end for end in one["interval"]], points)
            behind = f"{points(100 * one['behind'])} ({ends})"
        words = [one["source"], one["choice"], one["target"], one["best"]]
        rows.append((*map(_escaped, words), behind, "yes" if one["holds"] else "no"))
    return rows


def _datasets(said: Facts) -> list[str]:
    """The datasets, those of one family beside each other."""
    return [dataset for datasets in said["families"].values() for dataset in datasets]


def _drawn(said: Facts) -> Iterator[str]:
    names = _datasets(said)
    best = {one["dataset"]: one["ranks"][0]["method"] for one in said["datasets"]}
    cells = {(one["source"], one["target"]): one for one in said["conclusions"]["choices"]}
    width, height = _LEFT + _CELL * len(names) + 110, _TOP + _ROW * len(names) + 62
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_WORDS}">'
    )
    yield f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>'
    yield from (_words(12, _TOP - 26, "best on …"), _words(_LEFT, 18, "… is behind there, in points:"))
    for at, name in enumerate(names):
        x = _LEFT + _CELL * at + _CELL / 2
        yield f'<text transform="translate({x:g} {_TOP - 8}) rotate(-40)">{escape(_cut(name))}</text>'
        y = _TOP + _ROW * at + 13
        yield _words(12, y, _cut(name), weight="600")
        yield _words(12, y + 12, _cut(best[name], 38), size=10)
        for column, other in enumerate(names):
            yield from _cell(_LEFT + _CELL * column, _TOP + _ROW * at, cells.get((name, other)))
    yield from _legend(height - 34)
    yield "</svg>"


def _cell(x: int, y: int, one: Facts | None) -> Iterator[str]:
    fill = _COLORS["same family"] if one is None else _COLORS[_kind(one)]
    yield f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" rx="3" fill="{fill}"/>'
    if one is not None:
        color = "#ffffff" if _kind(one) in {"best", "far"} else _WORDS
        said = "best" if one["interval"] is None else number(100 * one["behind"], 1)
        yield f'<text x="{x + _CELL / 2:g}" y="{y + 19}" text-anchor="middle" fill="{color}">{said}</text>'


def _kind(one: Facts) -> str:
    if one["interval"] is None:
        return "best"
    if one["holds"]:
        return "holds"
    return "far" if one["behind"] >= _FAR else "behind"


def _legend(y: int) -> Iterator[str]:
    told = {
        "best": "best there, too",
        "holds": "no method is shown to be better",
        "behind": "another is better",
        "far": f"by {100 * _FAR:g} points or more",
        "same family": "same family",
    }
    x = 12
    for name, words in told.items():
        yield f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{_COLORS[name]}"/>'
        yield _words(x + 19, y + 11, words, size=11)
        x += 34 + round(5.9 * len(words))


def _words(x: float, y: float, words: str, *, size: int = 12, weight: str = "400") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}">{escape(words)}</text>'


def _cut(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _escaped(words: str) -> str:
    """A text as Markdown that shows it: what would be a mark, a table or a tag is not one."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|" else letter for letter in " ".join(words.split()))


def main(arguments: Sequence[str]) -> None:
    """Writes the chapter from a stored result."""
    path = Path(arguments[0]) if arguments else RESULT
    write(json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(sys.argv[1:])
