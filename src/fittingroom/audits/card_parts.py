"""What cards are made of: numbers with the command that prints each, sections, and how both become Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from fittingroom.text import amount, percent, percent_range

# Texts of other people, such as class names, become Markdown that shows them as they are: no tag, link or table cell.
_MARKUP = re.compile(r"[\\`*_\[\]<>|&~#$]")
_DISGUISE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_MOST_ROWS = 20
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def plain_line(text: object) -> str:
    """The text in one line, without what could disguise it: control characters and changes of direction."""
    return _DISGUISE.sub("\ufffd", " ".join(str(text).split()))


def escaped(text: object) -> str:
    """The text as Markdown that shows it as it is, in one line."""
    return _without_markup(plain_line(text))


def _without_markup(line: str) -> str:
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def quoted(sentence: object) -> str:
    """A sentence of ours, which may hold other people's names, as Markdown; what stands in backticks stays code."""
    line = plain_line(sentence)
    if "``" in line or line.count("`") % 2:
        return _without_markup(line)
    pieces = line.split("`")
    return "".join(f"`{piece}`" if place % 2 else _without_markup(piece) for place, piece in enumerate(pieces))


def code(text: object) -> str:
    """The text as code within a line, but not within a table where it may have a bar."""
    return f"`{plain_line(text).replace('`', chr(39))}`"


@dataclass(frozen=True)
class CardNumber:
    """A number of a card, and where it comes from.

    Args:
        label: what it is.
        text: as the card writes it.
        value: as the command's JSON has it.
        command: the line for a shell that prints it.
        key: its place in the command's JSON object: keys and positions from 0, with dots between them.
        interval: its 95% interval, from the same command; None where it has none.
    """

    label: str
    text: str
    value: Any
    command: str
    key: str
    interval: CardNumber | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {**vars(self), "interval": None if self.interval is None else self.interval.to_dict()}

    def row(self) -> str:
        """Its row of a table."""
        text, key = escaped(self.text), code(self.key)
        if self.interval is not None:
            text, key = f"{text} ({escaped(self.interval.text)})", f"{key}, {code(self.interval.key)}"
        return f"| {escaped(self.label)} | {text} | {key} |"


@dataclass(frozen=True)
class NumberSource:
    """A command and what it prints with `--json`; numbers are taken from there, so that none is made up for a card.

    Args:
        command: the line for a shell.
        facts: its JSON object.
    """

    command: str
    facts: Mapping[str, Any]

    def value(self, key: str) -> Any:
        """What stands at a key; None where there is nothing."""
        found: Any = self.facts
        for part in key.split("."):
            if isinstance(found, list):
                found = found[int(part)] if int(part) < len(found) else None
            elif isinstance(found, Mapping):
                found = found.get(part)
            else:
                return None
        return found

    def numbers(self, *asked: tuple[str, str, Callable[[Any], str]]) -> list[CardNumber]:
        """The numbers that are there, of those asked for by label, key, and how they are written."""
        found = (self._number(*one) for one in asked)
        return [one for one in found if one is not None]

    def share(self, label: str, key: str, interval_key: str, digits: int = 1) -> list[CardNumber]:
        """A share of 0 to 1 as a percentage, with its 95% interval; no number where it is not there."""
        found = self._number(label, key, lambda value: percent(value, digits))
        if found is None:
            return []
        interval = self._number("its 95% interval", interval_key, lambda value: percent_range(value, digits))
        return [replace(found, interval=interval)]

    def _number(self, label: str, key: str, write: Callable[[Any], str]) -> CardNumber | None:
        value = self.value(key)
        return None if value in (None, "") else CardNumber(label, write(value), value, self.command, key)


@dataclass(frozen=True)
class CardSection:
    """A heading and what stands below it.

    Args:
        title: the heading, as Markdown.
        level: of the heading, 1 or more.
        blocks: Markdown, or numbers; numbers in a row become a table for each command.
    """

    title: str
    level: int
    blocks: tuple[str | CardNumber, ...]

    @property
    def numbers(self) -> tuple[CardNumber, ...]:
        """All numbers in it."""
        found = [block for block in self.blocks if isinstance(block, CardNumber)]
        return tuple(one for number in found for one in (number, number.interval) if one is not None)

    def markdown(self) -> str:
        """Heading and contents."""
        parts = [f"{'#' * self.level} {self.title}"]
        for command, group in groupby(self.blocks, key=lambda block: getattr(block, "command", None)):
            if command is None:
                parts += [str(block) for block in group]
            else:
                parts.append(_number_table(command, [block for block in group if isinstance(block, CardNumber)]))
        return "\n\n".join(parts)


def _number_table(command: str, numbers: list[CardNumber]) -> str:
    interval = " (95% interval)" if any(one.interval is not None for one in numbers) else ""
    header = f"| what | value{interval} | key |"
    rows = [one.row() for one in numbers]
    return "\n".join([f"From {code(f'{command} --json')}:", "", header, "|---|---|---|", *rows])


def table(evidence: Mapping[str, Any]) -> str:
    """A table of an audit's evidence, as `EvidenceTable.to_dict` has it; of many rows the first."""
    header, rows, left = evidence["header"], evidence["rows"], evidence["left"]
    lines = [
        f"| {' | '.join(map(escaped, header))} |",
        f"|{'|'.join('---' if column < left else '--:' for column in range(len(header)))}|",
        *(f"| {' | '.join(map(escaped, row))} |" for row in rows[:_MOST_ROWS]),
    ]
    more = [f"... and {amount(len(rows) - _MOST_ROWS, 'more row')}"] if len(rows) > _MOST_ROWS else []
    return "\n\n".join([f"{escaped(evidence['title'])}:", "\n".join(lines), *more])


def bullets(lines: list[str]) -> str:
    """A list of lines of Markdown."""
    return "\n".join(f"- {line}" for line in lines)
