"""`fittingroom runs`: the runs there are, newest first; what people write about them, deleting, importing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fittingroom.atomic import absolute
from fittingroom.cli.command import CommandOutput, CommandParser, file_path, table
from fittingroom.cli.run_text import run_facts, run_row
from fittingroom.errors import InputError, RunError
from fittingroom.runs.looks import Standings
from fittingroom.runs.overview import RunSummary, filter_runs, list_summaries, sort_runs
from fittingroom.runs.place import RunsFolder, find_run, is_unfinished
from fittingroom.runs.run_notes import RunNotes
from fittingroom.runs.trash import delete_run, disk_use, empty_trash, list_deleted, restore_run
from fittingroom.runs.unfinished import RunLock
from fittingroom.text import amount, word_list

_COLUMNS = ("run", "status", "epochs", "validation", "95% interval", "loss (nats)", "test", "look", "luck (points)")


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="best first by accuracy, loss, seconds, looks, seeds, epochs, size, name, recipe, dataset or time; "
        "--sort=-accuracy turns it round (default: newest first)",
    )
    parser.add_argument(
        "--filter",
        metavar="CONDITION",
        nargs="+",
        action="extend",
        default=[],
        help="only runs that fit all: dataset=mnist, recipe=cnn, tag=best, 'accuracy>0.9', looks=0, or any word",
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--note", metavar=("RUN", "TEXT"), nargs=2, help="write a note about a run; '' removes it")
    does.add_argument("--title", metavar=("RUN", "TEXT"), nargs=2, help="what lists call a run; '' for its folder")
    does.add_argument("--tag", metavar=("RUN", "TAG"), nargs="+", help="set the tags of a run; none removes them")
    does.add_argument("--delete", metavar="RUN", nargs="+", help="move runs into the trash of their folder")
    does.add_argument("--restore", metavar="RUN", nargs="+", help="bring deleted runs back")
    does.add_argument("--empty-trash", action="store_true", help="remove deleted runs for good")
    does.add_argument(
        "--add", metavar="DIR", nargs="+", type=file_path, help="list runs that are kept elsewhere with the others"
    )
    does.add_argument(
        "--import",
        dest="imports",
        metavar="FILE",
        nargs="+",
        type=file_path,
        help="take in runs of somebody else, from ZIP files or folders; their scores are computed again",
    )
    parser.add_argument("--data", metavar="DATASET", help="with --import: where the dataset of these runs is here")
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """One line per run; a damaged one is listed as such."""
    changes = _change(arguments)
    if changes is not None:
        return changes
    standings = Standings()
    found = filter_runs(list_summaries(), arguments.filter)
    found = sort_runs(found, arguments.sort) if arguments.sort else found
    described = [_describe(summary, standings) for summary in found]
    if not arguments.filter:
        described += [
            ({"run": str(path), "error": "permission denied"}, (path.name, "unreadable", *["-"] * 7))
            for path in RunsFolder().unreadable()
        ]
    facts, rows = [fact for fact, _ in described], [row for _, row in described]
    deleted = list_deleted()
    said = [
        *(f"Not believed: {problem}" for problem in dict.fromkeys(one for fact in facts for one in _problems(fact))),
        *(f"{run}: {why}" for fact in facts for run, why in _not_finite(fact)),
        *(line for summary in found for line in _written(summary)),
    ]
    if deleted:
        said.append(
            f"In the trash: {amount(len(deleted), 'run')} ({_size(disk_use(deleted))}). --restore RUN brings one back."
        )
    return CommandOutput(
        {"folder": str(RunsFolder().path), "runs": facts, "deleted": [path.name for path in deleted]},
        "\n\n".join(filter(None, [_table(rows, arguments), "\n".join(said)])),
    )


def _table(rows: list[tuple[str, ...]], arguments: argparse.Namespace) -> str:
    if rows:
        return table(_COLUMNS, rows, left=2)
    if arguments.filter:
        return f"No run in {RunsFolder().path} fits {word_list(map(repr, arguments.filter))}."
    return (
        f"{RunsFolder().path} holds no run yet. Train one with `fittingroom train`. Runs that were kept elsewhere with "
        "--out are listed after `fittingroom runs --add DIR`."
    )


def _written(run: RunSummary) -> Iterator[str]:
    """What people wrote about a run, and where it came from, each a line."""
    if run.notes.title:
        yield f"{run.name}: {run.notes.title}"
    if run.notes.tags:
        yield f"{run.name}: tagged {word_list(run.notes.tags)}"
    yield from (f"{run.name}: {line}" for line in run.notes.notes.splitlines())
    if run.origin is not None:
        yield from (f"{run.name}: imported from {run.origin.source}. {note}" for note in (*run.origin.notes, "")[:1])


def _change(arguments: argparse.Namespace) -> CommandOutput | None:
    """What an option that changes something did; None where there is none."""
    if arguments.data is not None and not arguments.imports:
        raise InputError("--data says where the dataset of imported runs is. Give it with --import FILE.")
    changes = {
        "imports": _imported,
        "note": _noted,
        "title": _noted,
        "tag": _tagged,
        "delete": _deleted,
        "restore": _restored,
        "empty_trash": _emptied,
        "add": _added,
    }
    return next((change(arguments) for name, change in changes.items() if getattr(arguments, name)), None)


def _noted(arguments: argparse.Namespace) -> CommandOutput:
    name, text = arguments.note or arguments.title
    path = _folder(name)
    notes = RunNotes.change(path, notes=text) if arguments.note else RunNotes.change(path, title=text)
    return CommandOutput({"run": str(path), **notes.to_dict()}, f"{path.name}: {text.strip() or '(removed)'}")


def _tagged(arguments: argparse.Namespace) -> CommandOutput:
    name, *tags = arguments.tag
    path = _folder(name)
    notes = RunNotes.change(path, tags=tags)
    text = f"{path.name}: {word_list(notes.tags) or '(no tags)'}"
    return CommandOutput({"run": str(path), **notes.to_dict()}, text)


def _deleted(arguments: argparse.Namespace) -> CommandOutput:
    paths = [_folder(name) for name in arguments.delete]
    looks = sum(RunSummary.read(path).looks for path in paths)
    kept = [(path, delete_run(path)) for path in paths]
    here = RunsFolder().path
    lines = [
        f"{path} is in the trash. `fittingroom runs --restore {name if path.parent == here else path}` brings it back."
        for path, name in kept
    ]
    if looks:
        lines.append(f"The ledger keeps {amount(looks, 'look')} at test sets: what was seen stays seen.")
    return CommandOutput({"deleted": [{"run": str(path), "name": name} for path, name in kept]}, "\n".join(lines))


def _restored(arguments: argparse.Namespace) -> CommandOutput:
    places = [restore_run(Path(name).name, Path(name).parent if "/" in name else None) for name in arguments.restore]
    lines = [f"{path} is back, as it was." for path in places]
    return CommandOutput({"restored": list(map(str, places))}, "\n".join(lines))


def _emptied(_: argparse.Namespace) -> CommandOutput:
    size, count = disk_use(list_deleted()), empty_trash()
    text = f"{amount(count, 'run')} removed for good, {_size(size)}." if count else "The trash is empty."
    return CommandOutput({"removed": count, "bytes": size}, text)


def _added(arguments: argparse.Namespace) -> CommandOutput:
    for path in arguments.add:
        RunsFolder().add_elsewhere(path)
    lines = [f"{path} is listed with the runs of {RunsFolder().path}." for path in arguments.add]
    return CommandOutput({"added": [str(absolute(path)) for path in arguments.add]}, "\n".join(lines))


def _imported(arguments: argparse.Namespace) -> CommandOutput:
    from fittingroom.api.class_runs import import_runs

    found = [one for source in arguments.imports for one in import_runs(source, data=arguments.data)]
    facts = {"imported": [one.to_dict() for one in found]}
    status = 0 if any(one.run is not None for one in found) else 2
    return CommandOutput(facts, "\n".join(one.sentence for one in found), status)


def _folder(name: str) -> Path:
    """The folder of a run, or of a training that has begun."""
    for path in (Path(name), RunsFolder().path / name):
        if is_unfinished(path):
            return path
    return find_run(name)


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"


def _problems(facts: dict[str, Any]) -> Iterator[str]:
    """Why looks of a run, or of its seeds, are not believed."""
    for one in (facts, *facts.get("per_seed", ())):
        yield from (look["problem"] for look in one.get("looks", ()) if look["problem"] is not None)


def _not_finite(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Runs, or seeds of a run, whose validation loss is not finite, and why."""
    for one in facts.get("per_seed", (facts,)):
        if one.get("not_finite") is not None:
            yield Path(one["run"]).relative_to(Path(facts["run"]).parent).as_posix(), one["not_finite"]


def _describe(summary: RunSummary, standings: Standings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A run as facts, and as a line of the table."""
    path = summary.path
    more = {**summary.notes.to_dict(), "bytes": summary.size}
    if summary.origin is not None:
        more["imported"] = summary.origin.to_dict()
    if summary.status in {"training", "unfinished"}:  # under way, or stopped, and can be resumed
        trainer = RunLock.holder(path)
        status = f"in training by {trainer}" if trainer else f"stopped: fittingroom train --resume {path.name}"
        facts = {"run": str(path), "status": "training" if trainer else "unfinished", "holder": trainer}
        return {**facts, **more}, (path.name, status, *["-"] * 7)
    try:
        row = run_row(path, standings)
        name = path.name if path.parent == RunsFolder().path else str(path)
        return {**run_facts(path, standings), **more}, (name, *row[1:])
    except RunError as error:
        return {"run": str(path), "error": str(error)}, (path.name, "unreadable", *["-"] * 7)
