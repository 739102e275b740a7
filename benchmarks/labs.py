"""Runs all labs and writes docs/labs: questions, verdicts, and the picture of each lab's page.

Usage: python -m benchmarks.labs

The labs stay in `build/labs`, so that a second call trains nothing and only judges and draws again; `rm -r build/labs`
begins from nothing. What the first call took in seconds and memory is kept beside them.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pairs import Command, Sample, markdown_table, measure
from benchmarks.pictures import take
from benchmarks.sides import ROOT, program_environment
from fittingroom.text import interval_of_change, percent, points

DOCS = ROOT / "docs" / "labs"
FOLDER = ROOT / "build" / "labs"
PICTURE = "section[aria-labelledby=picture-title]"


def run(folder: Path) -> Sample:
    """`fittingroom lab all`, which trains what it has not trained yet."""
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
    yield from (f"![{_one_line(lab['picture']['text'] or lab['title'])}]({lab['name']}.webp)", "")
    yield from (markdown_table([("verdict", "claim", "measured"), *_claims(lab)]), "")
    if any(arm.get("reports") for arm in lab["arms"]):
        header = ("", "reported", "fresh pictures", "too much (points)", "looks", "test pictures with a copy")
        yield from (markdown_table([header, *_scores(lab)]), "", "Means over seeds, with 95% intervals.", "")
    for arm in lab["arms"]:
        if arm["error"]:
            yield from (f"The error of *{arm['name']}*:", "", f"> {arm['error']}", "")
    for text in lab["left_out"]:
        yield from (text, "")
    yield from (lab["explanation"].strip(), "")


def _scores(lab: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Of each arm what it reports, what that is worth, and what the ledger and the audit count."""
    for arm in (one for one in lab["arms"] if one.get("reports")):
        score, fresh, excess, looks, copies = (
            arm["measures"][name] for name in ("score", "fresh", "excess", "looks", "copies")
        )
        spread = "" if excess["interval"] is None else f" ({interval_of_change(excess['interval'], _points)})"
        shares = percent(score["mean"]), percent(fresh["mean"])
        told = f"{looks['mean']:g}", percent(copies["mean"])
        yield (arm["name"], *shares, f"{_points(excess['mean'], signed=True)}{spread}", *told)


def _points(share: float, *, signed: bool = False) -> str:
    return points(100 * share, signed=signed)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _claims(lab: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for claim in lab["claims"]:
        yield (f"**{claim['verdict']}**", claim["says"], claim["sentence"])


def main() -> None:
    """Runs them, and writes the folder again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    sample, measured = run(FOLDER), FOLDER / "first.json"
    if not measured.exists():
        measured.write_text(json.dumps({"seconds": sample.seconds, "peak_mib": sample.peak_mib}), encoding="utf-8")
    first = Sample(**json.loads(measured.read_text(encoding="utf-8")), output="")
    labs = json.loads(sample.output)["labs"]
    shutil.rmtree(DOCS, ignore_errors=True)
    DOCS.mkdir(parents=True)
    take({Path(lab["page"]): DOCS / f"{lab['name']}.webp" for lab in labs}, PICTURE, hidden="#picture-title")
    (DOCS / "README.md").write_text(page(labs, first), encoding="utf-8")
    print(f"{sample.seconds:.0f} s, {sample.peak_mib:.0f} MiB: {DOCS.relative_to(ROOT)}/README.md")


if __name__ == "__main__":
    main()
