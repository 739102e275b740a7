"""`Card`: the model card of a run and the data card of its dataset."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fittingroom.api import openings
from fittingroom.api.look_cost import LookCost
from fittingroom.atomic import absolute, read_file, storage_errors, write_bytes
from fittingroom.audits.card_about import read_about
from fittingroom.audits.card_facts import CardFacts, command_line, run_name, show_facts
from fittingroom.audits.card_parts import CardNumber, NumberSource
from fittingroom.audits.checks import CHECKS, kept_results
from fittingroom.audits.data_card import data_card
from fittingroom.audits.drift import FOLDER as DRIFT_FOLDER
from fittingroom.audits.drift import kept_drift
from fittingroom.audits.model_card import DATA_CARD_NAME, front_matter, model_card_markdown, model_card_sections
from fittingroom.errors import FittingRoomError, InputError, RunError
from fittingroom.reports.facts.explanation import explain
from fittingroom.runs.json_files import json_text, plain
from fittingroom.runs.layout import Layout, SeedFiles, read_layout

if TYPE_CHECKING:
    from fittingroom.answers.predictor import Predictor

MODEL_CARD_NAME = "README.md"
"""The name under which Hugging Face's hub shows a model card."""

_MADE_BY = "<!-- made by `fittingroom card`; hash of both cards: {} -->\n"
_MARK = re.compile(r"<!-- made by `fittingroom card`; hash of both cards: ([0-9a-f]{64}) -->\n")
_LARGEST = 16 * 2**20  # bytes of a card


@dataclass(frozen=True, eq=False)
class Card:
    """A run's model card and data card. Printed, it is both.

    Attributes:
        facts: all that both rest on.
    """

    facts: CardFacts

    @property
    def markdown(self) -> str:
        """The model card: front matter as Hugging Face's hub reads it, and sections."""
        return model_card_markdown(self.facts)

    @property
    def croissant(self) -> dict[str, Any]:
        """The data card, JSON-LD in the Croissant format, as plain JSON."""
        return data_card(self.facts)

    @property
    def numbers(self) -> tuple[CardNumber, ...]:
        """Every number of the model card, in its order, each with the command that prints it."""
        return tuple(number for section in model_card_sections(self.facts) for number in section.numbers)

    def to_dict(self) -> dict[str, Any]:
        """Both cards as plain JSON: front matter, sections, every number with its command, and the data card."""
        found: dict[str, Any] = plain(
            {
                "run": self.facts.run,
                "front_matter": front_matter(self.facts),
                "sections": [
                    {"title": section.title, "level": section.level, "markdown": section.markdown()}
                    for section in model_card_sections(self.facts)
                ],
                "numbers": [number.to_dict() for number in self.numbers],
                "checks": {
                    name: None
                    if name not in self.facts.checks
                    else {key: self.facts.checks[name][key] for key in ("verdict", "sentences")}
                    for name in CHECKS
                },
                "data_card": self.croissant,
            }
        )
        return found

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Writes README.md, the model card, and croissant.json, the data card, into a folder.

        Cards that were made before are replaced. A card that somebody edited is not: what people know belongs into
        `about`, from where every card has it.

        Args:
            folder: made where it is missing.

        Returns:
            The paths of the model card and of the data card.

        Raises:
            InputError: there is a file of that name that no card of ours is, or that was edited since.
            StorageError: a file cannot be written.
        """
        target = absolute(folder)
        model, data = target / MODEL_CARD_NAME, target / DATA_CARD_NAME
        _check_unedited(model, data)
        text, croissant = self.markdown, json_text(self.croissant) + "\n"
        mark = _MADE_BY.format(_hash(text, croissant))
        with storage_errors(target):
            target.mkdir(parents=True, exist_ok=True)
        write_bytes(data, croissant.encode())
        write_bytes(model, f"{text}\n{mark}".encode())
        return model, data

    def __str__(self) -> str:
        return f"{self.markdown}\n# Data card ({DATA_CARD_NAME})\n\n```json\n{json_text(self.croissant)}\n```"

    def __repr__(self) -> str:
        return (
            f"Card({self.facts.run!r}: {len(self.numbers)} numbers, {len(self.facts.checks)} of {len(CHECKS)} checks)"
        )

    def _repr_markdown_(self) -> str:
        return self.markdown.partition("\n---\n")[2]


class _Run(Protocol):
    """A run, `api.run.Run`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def predictor(self) -> Predictor:
        """What answers."""


def card_of(run: _Run, about: str | Path | Mapping[str, Any] | None = None) -> Card:
    """The cards of a run; see `Run.card`."""
    path = run.path
    told, layout, name = read_about(about), read_layout(path), run_name(path)
    records = tuple(layout.records().values())

    def source(command: str, facts: Mapping[str, Any], *options: str) -> NumberSource:
        return NumberSource(command_line(command, name, *options), plain(facts))

    try:
        explained, why = explain(path).to_dict(), None
    except InputError as error:
        explained, why = None, str(error).removeprefix(f"{path}: ").replace(str(path), name)
    test, problem = _test(layout)
    return Card(
        CardFacts(
            run=name,
            records=records,
            show=source("show", show_facts(layout)),
            explain=None if explained is None else source("explain", explained),
            why_unexplained=why,
            test=None if test is None else source("evaluate", {"test": test}),
            test_problem=problem,
            cost=source("evaluate", LookCost.of(path).to_dict(), "--cost"),
            checks=kept_results(path),
            about=told,
            drift=_drift(run),
            files=_files(layout, records[0].data.counts["validation"]),
        )
    )


def _drift(run: _Run) -> Mapping[str, Any] | None:
    """What the run's servers counted, as `monitor` prints it; None where none did, or it cannot be compared."""
    if not (run.path / DRIFT_FOLDER).is_dir():
        return None
    try:
        found = kept_drift(run.path, run.predictor)
    except FittingRoomError:  # a model of the user's own, without which nothing can be compared
        return None
    return None if found.verdict == "not examined" else found.to_dict()


def _files(layout: Layout, count: int) -> tuple[str, ...]:
    """The picture file of each validation image; none where they came from no files."""
    return SeedFiles(next(iter(layout.folders.values()))).picture_files(count)


def _test(layout: Layout) -> tuple[dict[str, Any] | None, str | None]:
    """The test result as `evaluate` prints it, where every seed has its score, and what is wrong with it."""
    records = layout.records()
    if not all(record.has_score for record in records.values()):
        return None, None
    try:
        return openings.stored_result(
            [(layout.folders[seed], record) for seed, record in records.items()]
        ).to_dict(), None
    except RunError as error:
        return None, str(error)


def _check_unedited(model: Path, data: Path) -> None:
    """Raises InputError where one of the files is not a card of ours, or was edited since it was made."""
    there = [path for path in (model, data) if path.exists() or path.is_symlink()]
    if not there:
        return
    with storage_errors(there[0]):
        texts = {path: read_file(path, _LARGEST).decode("utf-8", "replace") for path in there}
    text = texts.get(model, "")
    mark = next(iter(_MARK.finditer(text)), None)
    if mark is None:
        raise InputError(
            f"{there[0]} was not made by fittingroom, so it is not replaced. Choose another folder, or move it away."
        )
    if _hash(text.replace(f"\n{mark[0]}", "", 1), texts.get(data, "")) != mark[1]:
        raise InputError(
            f"{model} or {data.name} was edited since it was made, so it is not replaced. Put what you know into a "
            "file for --about (or about=), from where every card has it; then choose another folder, or move both."
        )


def _hash(markdown: str, croissant: str) -> str:
    return hashlib.sha256(f"{markdown}\0{croissant}".encode()).hexdigest()
