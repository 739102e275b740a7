"""`fittingroom explain`: what loss and accuracy really say about a run, in words, tables and small charts."""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, count
from fittingroom.runs.place import LATEST, find_run

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fittingroom.reports.facts.explanation import Explanation

_NARROWEST, _WIDEST = 60, 100


def configure(parser: CommandParser) -> None:
    """Declares the arguments."""
    parser.add_run(default=LATEST)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="EPOCH",
        type=count,
        help="first epoch of a change to tell (default: the one with the lowest validation loss)",
    )
    parser.add_argument(
        "--to", dest="end", metavar="EPOCH", type=count, help="last epoch of it (default: the last one)"
    )


def run(arguments: argparse.Namespace) -> CommandOutput:
    """Reads what the run kept of its validation images; trains nothing and opens no test set."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom.reports.facts.explanation import explain

    explanation = explain(path, arguments.start, arguments.end)
    facts = explanation.to_dict()
    return CommandOutput(facts, "" if arguments.json else _text(explanation, facts))


def _text(explanation: Explanation, facts: dict[str, Any]) -> str:
    """The whole answer, as wide as the terminal; 80 columns where there is none."""
    from rich.console import Console

    width = min(max(shutil.get_terminal_size((80, 24)).columns, _NARROWEST), _WIDEST)
    page = io.StringIO()
    # No colour and no markup: names of classes are other people's text.
    console = Console(
        file=page, width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    for part in _parts(explanation, facts, width):
        if isinstance(part, str):
            page.write(f"{part}\n")
        else:
            console.print(part, crop=False)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def _parts(explanation: Explanation, facts: dict[str, Any], width: int) -> Iterator[RenderableType]:
    """The answer in parts to be laid out; a plain string is a line that stays as it is."""
    from rich.padding import Padding
    from rich.text import Text

    from fittingroom.cli import explain_tables as tables
    from fittingroom.reports.words.quotes import QUESTIONS

    drawn = tables.by_topic(facts, width)
    yield Text(tables.title(facts))
    yield Text("")
    yield tables.answers(facts, QUESTIONS)
    for question, sentences in explanation.topics():
        yield Text(f"\n{question}", style="bold")
        for sentence in sentences:
            yield Padding(Text(sentence["text"]), (0, 0, 0, 2))
            for term in sentence["terms"]:
                yield Padding(Text(f"{term['name']}: {term['meaning']}", style="dim"), (0, 0, 0, 6))
        for table in drawn.get(sentences[0]["topic"], []):
            yield Text("")
            yield Padding(table, (0, 0, 0, 2))
    yield Text("\nThe images behind it", style="bold")
    files = any("file" in image for one in facts["images"] for image in one["images"])
    where = "Files are in the dataset's folder" if files else "Numbers are places among the validation images"
    yield Padding(Text(f"{where}; true class → predicted class."), (0, 0, 0, 2))
    yield from (Padding(Text(line), (0, 0, 0, 2)) for line in tables.images(facts))
    yield Text("")
    yield from (Text(line) for line in tables.closing(facts))
    commands = {
        "To see it, with the images:": f"fittingroom report {facts['run']['path']}",
        "To train it again:": facts["run"]["command"],
    }
    for purpose, line in commands.items():
        if line is not None:
            yield Text(purpose)
            yield line  # as it is, however long: it is there to be copied
