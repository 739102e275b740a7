"""Runs all labs and writes docs/labs: their pages, and a list of questions and verdicts.

Usage: python -m benchmarks.labs

Each lab begins from nothing, in one process. Its wall-clock seconds and the peak of its memory are kept too.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pairs import Command, Sample, markdown_table, measure
from benchmarks.sides import ROOT, program_environment

DOCS = ROOT / "docs" / "labs"


def run(folder: Path) -> Sample:
    """`fittingroom lab all`, from nothing."""
    program = Path(sys.executable).with_name("fittingroom")
    arguments = (str(program), "lab", "all", "--yes", "--json", "--out", str(folder / "labs"))
    return measure(Command("all labs", arguments, program_environment(folder), folder))


def page(labs: Sequence[Mapping[str, Any]], sample: Sample) -> str:
    """The list of all labs as Markdown."""
    environment = labs[0]["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    return "\n".join(
        [
            "# The labs, and what came out",
            "",
            f"Made by `make labs` on {environment['date'][:10]} ({environment['machine']}; {versions}): all labs in "
            f"{sample.seconds / 60:.1f} minutes, with {sample.peak_mib:,.0f} MiB of memory at most. "
            "Your own machine gives other seconds; `fittingroom lab 2` runs one lab, and the "
            "[format of their files](../labs-format.md) shows how to write another.",
            "",
            *(line for lab in labs for line in _lab(lab)),
        ]
    )


def _lab(lab: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {lab['lab']}. {lab['title']}"
    yield from ("", lab["question"], "")
    if lab["course"]:
        yield from (f"The course says: {lab['course']}", "")
    yield from (markdown_table([("verdict", "claim", "measured"), *_claims(lab)]), "")
    for arm in lab["arms"]:
        if arm["error"]:
            yield from (f"The error of *{arm['name']}*:", "", f"> {arm['error']}", "")
    for text in lab["left_out"]:
        yield from (text, "")
    yield from (f"[The page of this lab]({lab['name']}.html)", "")


def _claims(lab: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for claim in lab["claims"]:
        yield (f"**{claim['verdict']}**", claim["says"], claim["sentence"])


def main() -> None:
    """Runs them, and writes the folder anew."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sample = run(folder)
        labs = json.loads(sample.output)["labs"]
        shutil.rmtree(DOCS, ignore_errors=True)
        DOCS.mkdir(parents=True)
        for lab in labs:
            shutil.copyfile(lab["page"], DOCS / f"{lab['name']}.html")
    (DOCS / "README.md").write_text(page(labs, sample), encoding="utf-8")
    print(f"{sample.seconds:.0f} s, {sample.peak_mib:.0f} MiB: {DOCS.relative_to(ROOT)}/README.md")


if __name__ == "__main__":
    main()
