"""What the cards of a run are written from: what its commands print, and what is kept of its audit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fittingroom.audits.card_about import About
from fittingroom.audits.card_parts import NumberSource, code, escaped, quoted, table
from fittingroom.audits.checks import CHECKS
from fittingroom.runs.data_record import public_name
from fittingroom.runs.layout import Layout
from fittingroom.runs.place import is_run
from fittingroom.runs.record import PartResult, RunRecord

_FORMS = ("folder", "npz", "csv", "idx")
NOT_STATED = "Not stated."


@dataclass(frozen=True)
class CardFacts:
    """All that the cards of a run rest on.

    Args:
        run: the run's name in the commands.
        records: of each seed.
        show: what `fittingroom show` prints with `--json`, as far as the cards need it.
        explain: the same of `fittingroom explain`; None where there are no validation images, or no finite losses.
        why_unexplained: why that is None.
        test: the same of `fittingroom evaluate`; None where not every seed has its test score.
        test_problem: why a test score is not believed, or cannot be had; None where there is no problem.
        cost: the same of `fittingroom evaluate --cost`.
        checks: name -> what is kept of the check and still holds for this run and these data.
        about: what the user tells.
        drift: what `fittingroom monitor` prints with `--json`; None where the run was not served or is not watched.
        files: the picture file of each validation image, as a path in its dataset's folder; empty where there are none.
    """

    run: str
    records: tuple[RunRecord, ...]
    show: NumberSource
    explain: NumberSource | None
    why_unexplained: str | None
    test: NumberSource | None
    test_problem: str | None
    cost: NumberSource
    checks: Mapping[str, Mapping[str, Any]]
    about: About
    drift: Mapping[str, Any] | None = None
    files: tuple[str, ...] = ()

    @property
    def record(self) -> RunRecord:
        """Of the first seed."""
        return self.records[0]

    @property
    def several(self) -> bool:
        """Whether there are several seeds."""
        return len(self.records) > 1

    @property
    def dataset(self) -> str:
        """The name of the dataset without the folders of this machine."""
        return self.record.data.public_name

    def command(self, name: str, *options: str) -> str:
        """A command about this run, as a line for a shell."""
        return command_line(name, self.run, *options)

    def told(self, table: str, key: str) -> str:
        """What the user tells, as Markdown; that it is not stated otherwise."""
        text = self.about[table].get(key)
        return NOT_STATED if text is None else escaped(text)

    def audit_command(self, name: str) -> str | None:
        """The command that makes a check, as a line for a shell; None where nothing can."""
        data = self.record.data
        if data.uses_all:  # nothing was held out, so that only its photos can be examined
            return None if CHECKS[name].needs_run else command_line("audit", self.dataset, "--only", name)
        return self.command("audit", "--only", name, *(("--data", "DATASET") if data.load is None else ()))

    def unexamined(self, name: str) -> str:
        """How a check could be made that was not, as Markdown."""
        command = self.audit_command(name)
        if command is None:
            return "The run learned from all its photos, so none are left to examine it by."
        return f"{code(command)} examines it."

    def check(self, name: str) -> str:
        """What is kept of a check, as Markdown: verdict, sentences, advice and tables, with the command."""
        title, kept = CHECKS[name].title, self.checks.get(name)
        if kept is None:
            return f"**{title}: not examined.** {self.unexamined(name)}"
        command = code(self.audit_command(name))
        lines = [*map(quoted, kept["sentences"]), *(f"To do: {quoted(one)}" for one in kept.get("advice", ()))]
        said = "\n".join([f"**{title}: {kept['verdict']}.** {command} prints:", "", *(f"- {line}" for line in lines)])
        tables = [table(one) for one in kept.get("evidence", ()) if one.get("kind") == "table" and one["rows"]]
        return "\n\n".join([said, *tables])

    def verdict(self, name: str) -> str:
        """A check in a line: its verdict and first sentence, or that it was not examined."""
        title, kept = CHECKS[name].title, self.checks.get(name)
        if kept is None:
            return f"{title}: **not examined**. {self.unexamined(name)}"
        first = quoted(next(iter(kept["sentences"]), ""))
        return f"{title}: **{escaped(kept['verdict'])}**. {first} ({code(self.audit_command(name))})"


def listed_images(rows: str) -> int:
    """How many images a reviewed list changed, from what a run records of it: `3 17-20`, or `3:7 19:2`."""
    spans = [[int(end) for end in span.partition(":")[0].split("-")] for span in rows.split()]
    return sum(span[-1] - span[0] + 1 for span in spans)


def command_line(name: str, run: str, *options: str) -> str:
    """A command about a run, as a line for a shell."""
    return shlex.join(["fittingroom", name, run, *options])


def run_name(path: Path) -> str:
    """What commands call a run: the name of its folder, so that no card holds the other folders of this machine.

    It is found in the folder that holds the run, or from anywhere where that is the folder of runs.
    """
    resolved = path.resolve()
    parent = resolved.parent
    return f"{parent.name}/{resolved.name}" if resolved.name.startswith("seed-") and is_run(parent) else resolved.name


def public_command(command: str) -> str:
    """A line for a shell in which no word is a path from the root of this machine."""

    def public(word: str) -> str:
        form, _, place = word.partition(":")
        if form in _FORMS:
            return public_name(word) if PurePath(place).is_absolute() else word
        return PurePath(word).name if PurePath(word).is_absolute() else word

    return shlex.join(map(public, shlex.split(command)))


def show_facts(layout: Layout) -> dict[str, Any]:
    """What `fittingroom show --json` prints of a run, as far as cards need it, under the same keys."""
    records = list(layout.records().values())
    first, several = records[0].to_dict(), len(records) > 1
    parts: dict[str, list[PartResult | None]] = {
        "train": [record.train for record in records],
        "validation": [record.validation for record in records],
    }
    spreads = {
        name: {key: spread.to_dict() for key, spread in PartResult.spreads(part).items()} or None
        for name, part in parts.items()
    }
    return {
        "seeds": list(layout.seeds),
        "epochs": max(record.epochs for record in records),
        "settings": first["recipe"],
        "data": first["data"],
        "environment": first["environment"],
        "seconds": {part: getattr(layout.seconds, part) for part in ("setup", "compile", "train")},
        **(spreads if several else {name: first[name] for name in parts}),
    }
