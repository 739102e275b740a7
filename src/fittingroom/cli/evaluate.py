"""`fittingroom evaluate`: opens the sealed test set and scores a run on it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.api.look_cost import LookCost
from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.cli.run_text import INSTEAD_OF_LOOKS, nats_spread, percent_spread
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.errors import InputError
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import LATEST, find_run
from fittingroom.text import number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.evaluation.luck import Reuse, TestResult
    from fittingroom.runs.record import RunRecord

REASON = "fittingroom evaluate"

_FIRST_LOOK = """\
A look is one opening of a sealed test set. The ledger counts the looks of all your runs, because the best of many
scores is partly luck: `fittingroom ledger` lists them."""


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
    parser.add_data_place()
    parser.add_argument(
        "--on",
        metavar="DATASET",
        help="score it on the test set of another dataset with the same classes, such as one that students do not have",
    )
    parser.add_trust()
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        default=REASON,
        help="why the test set is opened, for the ledger (default: %(default)s)",
    )
    parser.add_argument("--cost", action="store_true", help="only say what the look would cost; nothing is opened")
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Scores the run; the opening is recorded before anything is computed."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    if arguments.on is not None and arguments.data is not None:
        raise InputError("--data is where the run's own dataset is, and --on scores it on another one. Give one.")
    if arguments.cost and arguments.on is not None:
        return _cost_on(path, arguments.on)
    if arguments.cost:
        cost = LookCost.of(path)
        return CommandOutput({"run": str(path), **cost.to_dict()}, "\n".join(cost.sentences))
    from fittingroom import open_run

    opened = open_run(path, trust=arguments.trust)
    result, record = opened.evaluate(arguments.reason, data=arguments.data, on=arguments.on), opened[0].record
    name = record.data.name if arguments.on is None else arguments.on
    facts = {"run": str(path), "dataset": name, "test": result.to_dict()}
    if len(opened) == 1:
        return CommandOutput(facts, _text(path, name, record, result))
    return CommandOutput(facts, _text_of_seeds(path, name, record, result))


def _cost_on(path: Path, on: str) -> CommandOutput:
    from fittingroom.api.scored_on import CostOnTestSet

    layout = read_layout(path)
    seeds = (list(layout.folders.values()), list(layout.records().values()))
    cost = CostOnTestSet.of({path.name: seeds}, on)
    return CommandOutput({"run": str(path), **cost.to_dict()}, "\n".join(cost.sentences))


def _text_of_seeds(path: Path, dataset: str, record: RunRecord, result: TestResult) -> str:
    rows = [
        (
            str(one.seed),
            percent(one.scores.accuracy),
            percent_range(one.scores.interval),
            number(one.scores.loss, 4),
            one.reuse.place(one.look),
        )
        for one in result.each
    ]
    header = ("seed", "accuracy", "95% interval", "loss (nats)", "look")
    which = result.looks.removeprefix("looks ")
    alike = result.spread["accuracy"].interval is None
    agreed = f" with each seed (95% interval for other images: {percent_range(result.interval)})" if alike else ""
    return (
        f"Test set of {dataset}, mean over {len(result)} seeds\n\n"
        f"accuracy  {percent_spread(result.spread['accuracy'])}{agreed}\n"
        f"loss      {nats_spread(result.spread['loss'])} nats\n"
        f"looks     {which} at {_counted_at(dataset)}, by the seeds of {record.recipe['name']} in {path}\n"
        f"luck      {result.reuse.caution(result.accuracy, result[0].scores.count)}\n\n"
        f"{table(header, rows)}{_instead(result.reuse, len(result))}"
    )


def _text(path: Path, dataset: str, record: RunRecord, result: TestResult) -> str:
    scores = result.scores
    rows = [
        (
            score.name,
            number(score.count),
            number(score.correct),
            percent(score.accuracy),
            percent_range(score.interval),
            percent(score.precision),
            number(score.f1, 3),
        )
        for score in scores.per_class
    ]
    header = ("class", "images", "right", "accuracy", "95% interval", "precision", "F1")
    return (
        f"Test set of {dataset}\n\n"
        f"accuracy  {percent(scores.accuracy)} (95% interval {percent_range(scores.interval)}): "
        f"{number(scores.correct)} of {number(scores.count)} images\n"
        f"loss      {number(scores.loss, 4)} nats\n"
        f"look      {_which(result)} at {_counted_at(dataset)}, by {record.recipe['name']}'s run {path}\n"
        f"luck      {result.reuse.caution(scores.accuracy, scores.count)}\n\n"
        f"{table(header, rows)}{_instead(result.reuse, 1)}"
    )


def _counted_at(dataset: str) -> str:
    """The test set whose looks the ledger counts: of a dataset that is made from another one, that one's."""
    known = CATALOGUE.get(dataset)
    if known is None or known.made_of is None:
        return "this test set"
    return f"the test set of {known.made_of}, from which this one is made"


def _instead(reuse: Reuse, own: int) -> str:
    """How to compare without looks, where others have looked too; what a look is, where this was the first."""
    return f"\n\n{INSTEAD_OF_LOOKS if reuse.looks > own else _FIRST_LOOK}"


def _which(result: TestResult) -> str:
    return "not in this ledger," if result.look is None else result.reuse.place(result.look)
