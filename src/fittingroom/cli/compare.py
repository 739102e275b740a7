"""`fittingroom compare`: runs against each other on their validation images, without opening the test set."""

from __future__ import annotations

import argparse
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.runs.place import find_run
from fittingroom.text import number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.evaluation.comparison import Comparison, Contender, Pair
    from fittingroom.evaluation.differences import Difference

_TESTS = {
    "mcnemar": "McNemar's exact test",
    "sign flip": "sign flips of the images' differences",
    "seeds and images": "t over seeds and images",
    "paired seeds and images": "t over seeds and images, paired by both",
}


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="two runs or more, each a folder, a name in the folder of runs, or latest",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Compares the runs; reads no test score and opens no test set."""
    paths = [find_run(name) for name in arguments.runs]  # before the heavy packages are imported
    from fittingroom import compare

    comparison = compare(paths)
    folders = {name: str(path) for name, path in zip(comparison.names, paths, strict=True)}
    facts = comparison.to_dict()
    runs = [{**one, "folder": folders[one["run"]]} for one in facts["runs"]]
    return CommandOutput({**facts, "runs": runs}, _text(comparison))


def _text(comparison: Comparison) -> str:
    letters = [letter(index) for index in range(len(comparison.contenders))]
    runs = table(
        ("", "run", "recipe", "seeds", "accuracy", "95% interval", "loss (nats)"),
        [_row(letter, one) for letter, one in zip(letters, comparison.contenders, strict=True)],
        left=3,
    )
    return "\n".join(
        [
            f"{number(comparison.images)} validation images of {comparison.dataset}",
            "",
            runs,
            "",
            pairs_text(comparison.pairs, letters, several=len(comparison.pairs) > 1),
            "",
            *(pair.verdict(letters) for pair in comparison.pairs),
            "",
            *(f"Note: {note}" for note in comparison.notes),
            "Next: choose one, then open the test set once, for that one: `fittingroom evaluate RUN`.",
        ]
    )


def pairs_text(pairs: Sequence[Pair], letters: Sequence[str], *, several: bool) -> str:
    """The differences of some pairs as a table, and which tests they rest on.

    Args:
        pairs: the rows of the table.
        letters: what to call each contender, by its position.
        several: whether p and intervals are adjusted for more than one pair.
    """
    interval = "adjusted interval" if several else "95% interval"
    header = ("", "points", interval, "p", *(("p, corrected",) if several else ()), "loss (nats)", interval)
    tests = dict.fromkeys(_TESTS[pair.test] for pair in pairs)
    rows = [_pair(pair, letters, several=several) for pair in pairs]
    return f"{table(header, rows)}\np of the accuracies: {'; '.join(tests)}."


def letter(index: int) -> str:
    """The name of a contender by its position, from 0: A, B, ..., Z, AA, BB, ..."""
    return string.ascii_uppercase[index % 26] * (index // 26 + 1)


def _row(letter: str, one: Contender) -> tuple[str, ...]:
    accuracy, loss = one.accuracy, one.mean_loss
    return (
        letter,
        one.name,
        one.recipe,
        str(len(one.seeds)),
        percent(accuracy.mean, 2),
        percent_range(one.interval),
        number(loss.mean, 4),
    )


def _pair(pair: Pair, letters: Sequence[str], *, several: bool) -> tuple[str, ...]:
    accuracy, loss = pair.accuracy, pair.loss
    return (
        f"{letters[pair.first]} − {letters[pair.second]}",
        number(100 * accuracy.value, 2, signed=True),
        _range(accuracy, 100, 2),
        _p(accuracy.p),
        *((_p(accuracy.corrected),) if several else ()),
        number(None if loss is None else loss.value, 4, signed=True),
        "-" if loss is None else _range(loss, 1, 4),
    )


def _range(difference: Difference, factor: int, digits: int) -> str:
    return " to ".join(number(factor * end, digits, signed=True) for end in difference.interval)


def _p(value: Any) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
