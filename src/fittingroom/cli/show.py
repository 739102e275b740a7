"""`fittingroom show`: one run's settings, results, epochs and looks at the test set."""

from __future__ import annotations

import argparse
from pathlib import Path

from fittingroom.api.look_cost import NO_TEST_SET
from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.cli.run_text import epochs_table, epochs_text, results_text, run_facts, title_text
from fittingroom.cli.teach import teaching_text
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.looks import Standings
from fittingroom.runs.place import find_run
from fittingroom.runs.record import RunRecord
from fittingroom.text import percent, percent_range


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Reads the run's record and history; trains and opens nothing."""
    path = find_run(arguments.run)
    standings, layout = Standings(), read_layout(path)
    facts = run_facts(path, standings)
    each = {seed: SeedFiles(folder).history().history for seed, folder in layout.folders.items()}
    if len(layout.seeds) > 1:
        facts["history"] = [{"seed": seed, **history} for seed, history in each.items()]
        first = next(iter(layout.records().values())).to_dict()
        facts |= {"data": first["data"], "environment": first["environment"]}
        blocks = [title_text(path), results_text(path), epochs_table(path)]
        return CommandOutput(facts, "\n\n".join(filter(None, blocks)))
    ((seed, record),) = layout.records().items()
    facts = {**record.to_dict(), **facts, "history": each[seed]}
    return CommandOutput(facts, _text(path, record, standings))


def _text(path: Path, record: RunRecord, standings: Standings) -> str:
    settings = [(key, _setting(value)) for key, value in record.recipe.items()]
    blocks = [
        f"{path}: {epochs_text(record)}",
        results_text(path),
        epochs_table(path),
        *([] if record.teaching is None else [teaching_text(record.teaching)]),
        table(("recipe", ""), settings, left=2),
        table(("run", ""), _circumstances(record), left=2),
        _looks(path, record, standings),
    ]
    return "\n\n".join([*filter(None, blocks), *(f"Note: {note}" for note in record.notes)])


def _setting(value: object) -> str:
    return ", ".join(str(item) for item in value) or "none" if isinstance(value, list) else str(value)


def _circumstances(record: RunRecord) -> list[tuple[str, str]]:
    environment, seconds = record.environment, record.seconds
    compiling = f", compiling {seconds.compile:.2f}, training" if record.has_epochs else ", fitting"
    threads = "" if environment.threads is None else f", threads per operation: {environment.threads}"
    device = environment.device if environment.devices == 1 else f"{environment.devices} × {environment.device}"
    return [
        ("made", record.created),
        ("dataset", f"{record.data.name}, fingerprint {record.data.fingerprint or 'none'}"),
        ("seed", str(record.seed)),
        ("seconds", f"set-up {seconds.setup:.2f}{compiling} {seconds.train:.2f}"),
        ("machine", f"{environment.processor}, cores: {environment.cores}{threads}, device: {device}"),
        ("platform", environment.platform),
        ("versions", ", ".join(f"{name} {version}" for name, version in environment.versions.items())),
    ]


def _looks(path: Path, record: RunRecord, standings: Standings) -> str:
    if not record.looks:
        return _no_looks(path, record, standings)
    rows, sentence, problems = [], "", ""
    for look in record.looks:
        number_of_look, reuse, problem, elsewhere = standings.of(path, record, look)
        accuracy, interval = "-", "-"
        if problem is not None:
            problems += f"\nNot believed: {problem}"
        elif look.score is not None:
            accuracy, interval = percent(look.score["accuracy"]), percent_range(look.score["interval"])
            sentence = f"\nluck: {reuse.caution(look.score['accuracy'], look.score['count'])}"
        which = "elsewhere" if elsewhere else reuse.place(number_of_look)
        rows.append((which, look.time, accuracy, interval, look.reason))
    if any(row[0] == "elsewhere" for row in rows):
        sentence += "\nelsewhere: another ledger counted the look, so its score cannot be checked here."
    return table(("look", "time", "accuracy", "95% interval", "reason"), rows, left=5) + sentence + problems


def _no_looks(path: Path, record: RunRecord, standings: Standings) -> str:
    """What the ledger knows of the test set where the run's folder records no look at it."""
    if not record.data.has_test_set:
        return NO_TEST_SET
    look = standings.unrecorded(path, record)
    if look is None:
        return "The test set has not been opened by this run."
    return (
        f"run.json records no look at the test set, but the ledger has look {look.look} by the same weights "
        f"({look.time[:19]}, run {look.intent.run}): they were trained twice, or the folder was copied or edited."
    )
