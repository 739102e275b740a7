"""Runs the standing benchmark and writes its place in the docs: `docs/benchmark.md`, its page, and its pictures.

Usage: python -m benchmarks.benchmark_docs

The benchmark stays in `build/benchmark`, so that a call that was stopped continues, and another one only draws again.
What a choice on one dataset is worth on another is written, too (`benchmarks/conclusions_docs.py`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import conclusions_docs
from benchmarks.pairs import markdown_table
from benchmarks.pictures import take
from benchmarks.sides import ROOT, program_environment
from fittingroom.reports.pages.benchmark_page import (
    MethodLine,
    benchmark_report,
    benchmark_sentences,
    core_seconds,
    dataset_sections,
    method_names,
)
from fittingroom.text import amount, duration, percent, percent_range

Facts = Mapping[str, Any]

FOLDER = ROOT / "build" / "benchmark"
TEXT = ROOT / "docs" / "benchmark.md"
PAGE = ROOT / "docs" / "_static" / "benchmark.html"
PICTURES = ROOT / "docs" / "images" / "benchmark"
PARTS = {
    "ranks": "#next",
    "reversal": "#reversal",
    "costs": "#datasets details:first-of-type .triple",
}


def main() -> None:
    """Runs what is missing, and writes the docs again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    program = str(Path(sys.executable).with_name("fittingroom"))
    command = [program, "benchmark", "--out", str(FOLDER / "result")]
    subprocess.run(command, cwd=ROOT, env=program_environment(FOLDER), check=True)
    facts = json.loads((FOLDER / "result" / "benchmark.json").read_text(encoding="utf-8"))
    facts = {**facts, "benchmark": str(FOLDER / "result"), "command": "make benchmark"}
    benchmark_report(facts).save(PAGE)
    shutil.rmtree(PICTURES, ignore_errors=True)
    page = PAGE.read_text(encoding="utf-8")
    for name, selector in PARTS.items():
        if f'id="{selector.partition(" ")[0].removeprefix("#")}"' in page:
            take(
                {PAGE: PICTURES / f"{name}.webp"},
                selector,
                hidden="main details details, #next details, #reversal details",
                width=1240,
            )
    TEXT.write_text(text(facts, [name for name in PARTS if (PICTURES / f"{name}.webp").exists()]), encoding="utf-8")
    conclusions_docs.write(facts)
    print(f"{TEXT.relative_to(ROOT)}, {PAGE.relative_to(ROOT)} ({PAGE.stat().st_size / 1e6:.1f} MB)")


def text(facts: Facts, pictures: Sequence[str] = ()) -> str:
    """The chapter about a benchmark as Markdown.

    Args:
        facts: `Benchmark.to_dict()`.
        pictures: names of those that there are in `docs/images/benchmark`.
    """
    return "\n".join(_lines(facts, pictures)) + "\n"


def _lines(facts: Facts, pictures: Sequence[str]) -> Iterator[str]:
    environment, statistics = facts["environment"], facts["statistics"] or {}
    families = len({one["family"] for one in facts["datasets"]})
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    yield from ("# The standing benchmark", "")
    yield (
        "*If it doesn't work on MNIST, it won't work at all; if it does work on MNIST, it may still fail on others.* "
        f"Here {amount(len(facts['methods']), 'method')} are compared on {amount(len(facts['datasets']), 'dataset')} "
        f"of {amount(families, 'family', 'families')}, with {amount(len(facts['seeds']), 'seed')} each, on "
        f"{facts['part']} images. `make benchmark` made it on {environment['date'][:10]}, and its trainings took "
        f"{duration(core_seconds(facts))} of one core ({_escaped(environment['machine'])}; {_escaped(versions)}). "
        "[How to run your own](how-to/benchmark.md)."
    )
    yield from (
        "",
        '<p><a href="_static/benchmark.html">The whole page</a>: every dataset, every pair, every cost.</p>',
    )
    yield from ("", "## What came out", "")
    for sentence in benchmark_sentences(statistics):
        yield from (f"- {_escaped(sentence)}",)
    yield from ("", "## Accuracy on each dataset", "")
    yield (
        f"Share of {facts['part']} images that are right, with its 95% interval for other images and seeds. **Bold**: "
        "no other method is shown to be better there. A point on one dataset is not worth a point on another, so there "
        "is no mean over them."
    )
    yield from ("", markdown_table(_table(facts)))
    yield from (_escaped(one) for one in _not_done(facts))
    yield from ("## The datasets", "", markdown_table(_datasets(facts)))
    if "ranks" in pictures:
        yield from ("## On a new dataset of this kind", "")
        alt = "The ranks to expect of each method on a new dataset, and the critical-difference diagram"
        yield from (f"![{alt}](images/benchmark/ranks.webp)", "")
    if "reversal" in pictures:
        yield from ("## It wins here and loses there", "")
        yield from (f"![{_escaped(statistics['reversals'][0]['sentence'])}](images/benchmark/reversal.webp)", "")
    if "costs" in pictures:
        first = facts["datasets"][0]["dataset"]
        yield from ("## What accuracy costs", "", f"On {first}; the page has the others.", "")
        yield from (f"![Accuracy on {first} against seconds, parameters and size](images/benchmark/costs.webp)", "")
    yield from (
        "## What it does not say",
        "",
        "The datasets are small grey pictures, and what is said of the next dataset is said of one of a new family of "
        "this kind. Settings are the named ones and those few that validation chose, the same number for each method; "
        "with more tuning, a method may reach more. Where a training part is limited, methods that need many images "
        "are at a disadvantage. [What a choice made on one dataset is worth on another](explanation/other-datasets.md) "
        "has the pairs.",
    )


def _table(facts: Facts) -> list[tuple[str, ...]]:
    sections = dataset_sections(facts)
    names = method_names([one["method"] for one in facts["methods"]])
    head = ("method", *(_escaped(section.facts["dataset"]) for section in sections))
    rows = [
        (_escaped(name), *(_cell(section.by_method.get(method)) for section in sections))
        for method, name in names.items()
    ]
    return [head, *rows]


def _cell(line: MethodLine | None) -> str:
    if line is None or line.result["accuracy"] is None:
        return "–" if line is None or line.result["status"] == "missing" else str(line.result["status"])
    mean = percent(line.result["accuracy"]["mean"])
    return f"{f'**{mean}**' if line.top else mean} ({percent_range(line.interval)})"


def _not_done(facts: Facts) -> Iterator[str]:
    for one in facts["results"]:
        if one["status"] in {"failed", "timed out"}:
            yield f"{one['method']} on {one['dataset']}: {one['status']}. {one['reason'] or ''}".rstrip()
            yield ""


def _datasets(facts: Facts) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("dataset", "family", "classes", "image", "training", "validation", "test")]
    for one in facts["datasets"]:
        size = "×".join(map(str, one["shape"]))
        counts = (f"{one['images'][part]:,}" for part in ("training", "validation", "test"))
        rows.append((_escaped(one["dataset"]), _escaped(one["family"]), str(len(one["classes"])), size, *counts))
    return rows


def _escaped(words: str) -> str:
    """A text as Markdown that shows it: what would be a mark, a table or a tag is not one."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|" else letter for letter in " ".join(words.split()))


if __name__ == "__main__":
    main()
